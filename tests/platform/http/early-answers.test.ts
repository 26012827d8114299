import { connect } from 'node:net';
import { SECURITY_HEADERS } from '../../../src/platform/http/security-headers';
import { entry, type Fleet, startFleet } from '../../support/fleet';
import { freePort, startService } from '../../support/service';

const ORIGIN = 'https://app.example.org';
const OPTIONS = {
  CORS_ORIGINS: ORIGIN,
  HEADERS_TIMEOUT_MS: '500',
  REQUEST_TIMEOUT_MS: '1000',
  ACCESS_LOG: 'true',
};

let fleet: Fleet;
let opsPort: number;
beforeAll(async () => {
  opsPort = await freePort();
  fleet = await startFleet(1, { ...OPTIONS, OPS_PORT: String(opsPort) });
});
afterAll(() => fleet?.close());

async function exchange(text: string, url = fleet.url) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  const answer = (await socket.setEncoding('latin1').toArray()).join('');
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 2),
    ]),
  );
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    json: JSON.parse(body) as Record<string, string>,
  };
}
type Answer = Awaited<ReturnType<typeof exchange>>;

function expectProblem({ status, headers, json }: Answer, expected: number, code: string): void {
  expect([status, headers['content-type'], json['code'], json['status']]).toEqual([
    expected,
    'application/problem+json',
    code,
    expected,
  ]);
  expect(json['type']).toBe(`urn:problem:${code}`);
  expect(json['instance']).toMatch(/^urn:request:[0-9a-f-]{36}$/);
  expect(headers['x-request-id']).toBeDefined();
  for (const [name, value] of SECURITY_HEADERS)
    expect([name, headers[name.toLowerCase()]]).toEqual([name, value]);
}

const IDS = `Origin: ${ORIGIN}\r\nX-Request-Id: mine-1\r\n`;

test.each([
  ['no HTTP at all', `GARBAGE\r\n${IDS}\r\n`, 400, 'malformed_request'],
  [
    'a header without a name',
    `GET / HTTP/1.1\r\n${IDS}Host: x\r\n: y\r\n\r\n`,
    400,
    'malformed_request',
  ],
  [
    'two lengths',
    `POST / HTTP/1.1\r\n${IDS}Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`,
    400,
    'malformed_request',
  ],
  ['no host', `GET /livez HTTP/1.1\r\n${IDS}Connection: close\r\n\r\n`, 400, 'host_required'],
  [
    'two hosts',
    `GET /livez HTTP/1.1\r\n${IDS}Host: x\r\nhost: y\r\nConnection: close\r\n\r\n`,
    400,
    'malformed_request',
  ],
  [
    'an expectation',
    `POST / HTTP/1.1\r\n${IDS}Host: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n`,
    417,
    'unknown_expectation',
  ],
  [
    'a tunnel',
    `CONNECT other:443 HTTP/1.1\r\n${IDS}Host: other:443\r\n\r\n`,
    400,
    'malformed_request',
  ],
  [
    'too large headers',
    `GET / HTTP/1.1\r\n${IDS}Host: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
])(
  '%s: a problem with CORS headers and the given request id',
  async (_what, text, status, code) => {
    const answer = await exchange(text);
    expectProblem(answer, status, code);
    expect([answer.headers['access-control-allow-origin'], answer.headers['x-request-id']]).toEqual(
      [ORIGIN, 'mine-1'],
    );
    expect(answer.headers['access-control-expose-headers']).toContain('X-Request-Id');
  },
);

test.each(['a b', 'x/../y', 'x@y', '[x', 'x:port', 'x, y', 'x:123456'])(
  'the host "%s" is refused',
  async (host) => {
    const request = `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    expectProblem(await exchange(request), 400, 'malformed_request');
  },
);

test.each(['x', 'X.example:8080', '[::1]:3000', '127.0.0.1', 'under_score', ''])(
  'the host "%s" is accepted',
  async (host) => {
    const request = `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    expect((await exchange(request)).status).toBe(200);
  },
);

test('a request that does not arrive in time: 408', async () => {
  expectProblem(await exchange('GET / HTTP/1.1\r\nHost: x\r\n'), 408, 'request_timeout');
});

describe('a body that breaks off', () => {
  const head = (path: string, lines: string) =>
    `POST ${path} HTTP/1.1\r\n${IDS}Host: x\r\nContent-Type: application/json\r\n${lines}\r\n\r\n`;
  const CHUNKED = 'Transfer-Encoding: chunked';

  test.each([
    ['a malformed chunk', CHUNKED, '5\r\n{"a":\r\nZZ\r\n', 400, 'malformed_request'],
    ['too large a chunk size', CHUNKED, `${'f'.repeat(20)}\r\n`, 400, 'malformed_request'],
    ['chunks that stop coming', CHUNKED, '5\r\n{"a":\r\n', 408, 'request_timeout'],
    ['bytes that stop coming', 'Content-Length: 20', '{"email":', 408, 'request_timeout'],
  ])('%s: a problem with all headers, and the connection ends', async (_, line, body, ...rest) => {
    const answer = await exchange(`${head('/api/auth/login', line)}${body}`);
    expectProblem(answer, ...rest);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'x-request-id': 'mine-1',
      connection: 'close',
    });
    const id = answer.json['instance']?.replace('urn:request:', '');
    const logged = await fleet.service.waitForLog('request', (one) => one['instance'] === id);
    expect(logged['status']).toBe(answer.status);
  });

  test.each(['GET', 'POST'])('after the response to its %s: no second response', async (method) => {
    for (const body of ['5\r\n{"a":\r\nZZ\r\n', '5\r\n{"a":\r\n']) {
      const request = head('/api/auth/profile', CHUNKED).replace('POST', method);
      const { status } = await exchange(`${request}${body}`);
      expect(status).toBe(method === 'GET' ? 401 : 405);
    }
  });

  test('behind a response that is still to come it ends the connection', async () => {
    const body = '{"email":"a@example.org","password":"correct horse battery"}';
    const { hostname, port } = new URL(fleet.url);
    const socket = connect(Number(port), hostname);
    const first = `${head('/api/auth/login', `Content-Length: ${body.length}`)}${body}`;
    socket.write(`${first}${head('/api/auth/login', CHUNKED)}ZZ\r\n`);
    const answer = (
      await socket
        .setEncoding('latin1')
        .toArray()
        .catch(() => [''])
    ).join('');
    expect(answer).not.toMatch(/malformed_request/);
  });
});

test('an origin that is not allowed gets no CORS headers', async () => {
  const { headers } = await exchange(
    'GET /livez HTTP/1.1\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n',
  );
  expect([headers['access-control-allow-origin'], headers['vary']]).toEqual([undefined, 'Origin']);
});

test('garbage after a valid request does not affect its response', async () => {
  const { hostname, port } = new URL(fleet.url);
  const socket = connect(Number(port), hostname);
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n');
  const answer = (await socket.setEncoding('latin1').toArray()).join('');
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).toContain('{"status":"ok"}');
  expect(answer.split('HTTP/1.1 ')[2] ?? '400').toMatch(/^400/);
});

/** What the metrics have counted of this refusal. */
async function refusals(labels: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  const line = text
    .split('\n')
    .find((one) => one.startsWith(`http_requests_refused_total{${labels}}`));
  return Number(line?.split(' ').at(-1));
}

test('each refusal has a log line, and is counted', async () => {
  const labels = 'status="400",code="malformed_request"';
  const before = await refusals(labels);
  await exchange(`GARBAGE\r\n${IDS.replace('mine-1', 'find-me')}\r\n`);
  const line = await fleet.service.waitForLog(
    'request refused',
    (one) => one['request_id'] === 'find-me',
  );
  expect(line).toMatchObject({
    level: 'info',
    status: 400,
    code: 'malformed_request',
    client: expect.stringContaining('127.0.0.1'),
  });
  expect(line['instance']).toMatch(/^[0-9a-f-]{36}$/);
  expect(await refusals(labels)).toBe(before + 1);
});

test('a shed request gets a problem', async () => {
  const service = await startService({
    entry,
    env: {
      ...fleet.environment,
      OPS_PORT: '0',
      ...OPTIONS,
      ADMISSION_IN_FLIGHT_MAX: '1',
      BCRYPT_COST: '12',
    },
  });
  try {
    const body = JSON.stringify({
      name: 'Ada',
      email: 'shed@example.org',
      password: 'correct horse battery',
    });
    const register = `POST /api/auth/register HTTP/1.1\r\nHost: x\r\n${IDS}Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => exchange(register, service.url)),
    );
    const shed = answers.filter(({ status }) => status === 503);
    expect(shed.length).toBeGreaterThan(0);
    for (const one of shed) {
      expectProblem(one, 503, 'overloaded');
      expect([
        one.headers['retry-after'],
        one.headers['access-control-allow-origin'],
        one.headers['x-request-id'],
      ]).toEqual(['1', ORIGIN, 'mine-1']);
    }
    expect(new Set(shed.map(({ json }) => json['instance'])).size).toBe(shed.length);
  } finally {
    await service.close();
  }
});

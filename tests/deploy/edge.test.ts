import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { type RequestRecord, runLoad, startLoad } from '../../faults/load';
import { isGood, summarise } from '../../faults/summary';
import { SECURITY_HEADERS } from '../../src/platform/http/security-headers';
import { type Answer, answers, type Backend, startBackend } from '../support/backend';
import {
  type Balancer,
  type BalancerOptions,
  startHaproxy,
  startNginx,
} from '../support/balancers';
import { raw } from '../support/raw-http';
import { root } from '../support/service';
import { describeWith } from '../support/tools';
import { until } from '../support/until';

/** What holds for either balancer. Each test has two hosts of its own choosing behind it. */
const balancers = [
  { tool: 'nginx', start: startNginx },
  { tool: 'haproxy', start: startHaproxy },
];

const WRITES = ['POST', 'PUT', 'PATCH', 'DELETE'];

for (const { tool, start } of balancers) {
  describeWith([tool], `${tool} in front of two hosts`, () => {
    let hosts: [Backend, Backend];
    let edge: Balancer;
    let opened: Balancer | undefined;
    const begin = async (options: Partial<BalancerOptions> = {}) => {
      edge = await start({ hosts: hosts.map((host) => host.host), ...options });
      opened = edge;
    };
    const answer = (first: Answer, second: Answer) => {
      hosts[0].answer = first;
      hosts[1].answer = second;
    };
    const seen = (method: string) =>
      hosts.flatMap((host) => host.seen).filter((one) => one.method === method);

    beforeEach(async () => {
      hosts = [await startBackend(), await startBackend()];
    });
    afterEach(async () => {
      await opened?.close();
      opened = undefined;
      await Promise.all(hosts.map((host) => host.down()));
    });

    test('a read that a dying host did not answer is answered by the other', async () => {
      await begin();
      answer(answers.cut, answers.json({ from: 'second' }));
      for (let n = 0; n < 6; n += 1)
        expect((await raw(`${edge.url}/api/users/me`)).status).toBe(200);
      expect(hosts[0].seen.length).toBeGreaterThan(0);
    });

    test('a file of users passes whatever its size, is sent once, and its answer comes in pieces', async () => {
      await begin();
      answer(answers.json({ from: 'first' }), answers.json({ from: 'second' }));
      const body = `${'x'.repeat(1023)}\n`.repeat(4096);
      const sent = await raw(`${edge.url}/api/users/import`, { method: 'POST', body });
      expect(sent.status).toBe(200);
      expect(seen('POST').length).toBe(1);
      const refused = await raw(`${edge.url}/api/users`, { method: 'POST', body });
      expect(tool === 'nginx' ? refused.status : 413).toBe(413);
    });

    test.each(WRITES)(
      '%s is never sent again once a host has it, and the client hears of it',
      async (method) => {
        await begin();
        answer(answers.cut, answers.cut);
        for (let n = 1; n <= 4; n += 1) {
          expect((await raw(`${edge.url}/api/users`, { method, body: '{"a":1}' })).status).toBe(
            502,
          );
          expect(seen(method)).toHaveLength(n);
        }
      },
    );

    test.each(WRITES)(
      '%s goes to the other host when the first takes no connection',
      async (method) => {
        await begin();
        await hosts[0].down();
        for (let n = 1; n <= 4; n += 1) {
          expect((await raw(`${edge.url}/api/users`, { method, body: `{"n":${n}}` })).status).toBe(
            200,
          );
        }
        expect(hosts[1].seen.map((one) => one.body)).toEqual([
          '{"n":1}',
          '{"n":2}',
          '{"n":3}',
          '{"n":4}',
        ]);
      },
    );

    test('a host that sheds is not taken out, and a 503 of all hosts reaches the client as the service said it', async () => {
      await begin();
      answer(answers.status(503, { 'retry-after': '7' }), answers.json({ ok: true }));
      for (let n = 0; n < 10; n += 1) expect((await raw(`${edge.url}/api/users`)).status).toBe(200);
      answer(
        answers.status(503, { 'retry-after': '7' }),
        answers.status(503, { 'retry-after': '7' }),
      );
      for (let n = 0; n < 10; n += 1) {
        const shed = await raw(`${edge.url}/api/users`);
        expect([shed.status, shed.headers['retry-after'], shed.body]).toEqual([
          503,
          '7',
          '{"status":503}',
        ]);
      }
      answer(answers.json({ ok: true }), answers.json({ ok: true }));
      expect((await raw(`${edge.url}/api/users`)).status).toBe(200);
    });

    test('with no host left: 503, problem+json and Retry-After, and the first host back is used', async () => {
      await begin();
      await Promise.all(hosts.map((host) => host.down()));
      for (const method of ['GET', ...WRITES]) {
        const refused = await raw(`${edge.url}/api/users`, { method });
        expect([method, refused.status, refused.headers['retry-after']]).toEqual([
          method,
          503,
          '1',
        ]);
        expect(refused.headers['content-type']).toBe('application/problem+json');
        expect(JSON.parse(refused.body)).toMatchObject({
          status: refused.status,
          code: expect.any(String),
        });
      }
      await hosts[1].up();
      await until(
        'the host is used again',
        async () => (await raw(`${edge.url}/`)).status === 200,
        8000,
      );
    });

    test('the cookie, its origin and the DPoP proof pass both ways, and no log has them', async () => {
      await begin();
      const stored = '__Host-refresh_token=stored-canary; Max-Age=60; Path=/; Secure; HttpOnly';
      const made = answers.json({ ok: true }, { 'set-cookie': stored });
      answer(made, made);
      const headers = {
        cookie: '__Host-refresh_token=sent-canary',
        dpop: 'proof-canary.AAAA.AAAA',
        origin: 'https://app.example.org',
        'refresh-token-mode': 'cookie',
        'sec-fetch-site': 'same-site',
      };
      const id = 'browser-session-1';
      const reply = await raw(`${edge.url}/api/auth/refresh`, {
        ...{ method: 'POST', body: '{}', headers: { ...headers, 'x-request-id': id } },
      });
      expect([reply.status, reply.headers['set-cookie']]).toEqual([200, [stored]]);
      expect(seen('POST').map((one) => one.headers)).toEqual([expect.objectContaining(headers)]);
      await until('the access log has the request', () =>
        edge.log().some((line) => line['request_id'] === id),
      );
      expect(JSON.stringify(edge.log())).not.toContain('canary');
    });

    test("the edge's own errors have what the service's have: a type, an id, security and CORS headers", async () => {
      const origin = 'https://app.example.org';
      await begin({
        env: { EDGE_CORS_ORIGINS: `https://other.example${tool === 'nginx' ? ',' : ' '}${origin}` },
      });
      await Promise.all(hosts.map((host) => host.down()));
      const ask = (from: string) =>
        raw(`${edge.url}/api/users`, { headers: { origin: from, 'x-request-id': 'mine-12345' } });
      const [first, second, foreign] = [
        await ask(origin),
        await ask(origin),
        await ask('https://evil.example'),
      ];
      const { instance, ...problem } = JSON.parse(first.body) as Record<string, unknown>;
      expect(problem).toEqual({
        type: 'urn:problem:unavailable',
        title: 'Service unavailable',
        status: 503,
        detail: 'The request was answered at the edge.',
        code: 'unavailable',
      });
      expect(instance).toMatch(/^urn:request:[0-9A-Za-z]{16,}$/);
      expect(JSON.parse(second.body).instance).not.toBe(instance);
      for (const [name, value] of SECURITY_HEADERS) {
        const expected = name === 'Strict-Transport-Security' ? undefined : value;
        expect([name, first.headers[name.toLowerCase()]]).toEqual([name, expected]);
      }
      expect(first.headers).toMatchObject({
        'x-request-id': 'mine-12345',
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'Retry-After,X-Request-Id',
        'cache-control': 'no-store',
        vary: 'Origin',
      });
      expect([
        foreign.headers['access-control-allow-origin'],
        foreign.headers['x-edge-problem'],
      ]).toEqual([undefined, undefined]);
      const id = String(instance).slice('urn:request:'.length);
      await until('the access log has the id', () =>
        edge.log().some((line) => line['instance'] === id),
      );
    });

    // HAProxy 2.6 answers what it cannot parse with a page that no setting replaces
    // (docs/scale.md).
    const whatNginxSays = async () => {
      await begin();
      const { hostname, port } = new URL(edge.url);
      const socket = connect(Number(port), hostname);
      socket.write('GET / HTTP/1.1\r\nHost: a b\r\n: x\r\n\r\n');
      const answer = (await socket.setEncoding('latin1').toArray()).join('');
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toMatch(/\r\nx-content-type-options: nosniff\r\n/i);
      expect(answer).toMatch(/\r\nx-request-id: [0-9A-Za-z]{16,}\r\n/i);
      expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
        type: 'urn:problem:malformed_request',
        instance: expect.stringMatching(/^urn:request:[0-9A-Za-z]{16,}$/),
      });
    };
    if (tool === 'nginx')
      test('bytes that are no HTTP are answered by a problem as well', whatNginxSays);

    test("an answer of the service passes without the edge's headers", async () => {
      await begin();
      answer(answers.json({ ok: true }), answers.json({ ok: true }));
      const { headers } = await raw(`${edge.url}/`);
      expect([
        headers['x-frame-options'],
        headers['cache-control'],
        headers['x-edge-problem'],
      ]).toEqual([undefined, undefined, undefined]);
    });

    test('no forged address, scheme or forwarding header passes', async () => {
      await begin();
      const forged = {
        'x-forwarded-for': '203.0.113.9, 10.0.0.1',
        forwarded: 'for=203.0.113.9',
        'x-real-ip': '203.0.113.9',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-port': '1',
        proxy: 'http://evil.example',
      };
      for (const method of ['GET', 'POST']) await raw(`${edge.url}/`, { method, headers: forged });
      const headers = [...hosts[0].seen, ...hosts[1].seen].map((one) => one.headers);
      expect(headers).toHaveLength(2);
      for (const one of headers) {
        expect(one).toMatchObject({ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' });
        expect(one['x-forwarded-host']).toBe(new URL(edge.url).host);
        expect([one['forwarded'], one['x-real-ip'], one['x-forwarded-port'], one['proxy']]).toEqual(
          [undefined, undefined, undefined, undefined],
        );
      }
    });

    test('a harmless request id is kept, any other replaced, and the access log names it', async () => {
      await begin();
      const ids = [
        'a-good-id.42',
        '-starts-wrong',
        'with space in it',
        'y'.repeat(129),
        'quote"in-it-12',
        undefined,
      ];
      for (const id of ids)
        await raw(`${edge.url}/`, id === undefined ? {} : { headers: { 'x-request-id': id } });
      const got = hosts
        .flatMap((host) => host.seen)
        .map((one) => String(one.headers['x-request-id']));
      expect(got).toHaveLength(ids.length);
      expect(got.filter((id) => ids.includes(id))).toEqual(['a-good-id.42']);
      expect(new Set(got).size).toBe(got.length);
      for (const id of got) expect(id).toMatch(/^[A-Za-z0-9._~:-]{8,128}$/);
      await until('the access log has the ids', () =>
        got.every((id) => edge.log().some((line) => line['request_id'] === id)),
      );
    });

    test('the trace context passes as it came, and none is made up', async () => {
      await begin();
      const headers = {
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
        tracestate: 'vendor=1,other=2',
      };
      await raw(`${edge.url}/`, { headers });
      await raw(`${edge.url}/`, { method: 'POST', body: '{}', headers });
      await raw(`${edge.url}/`);
      const got = hosts.flatMap((host) => host.seen).map((one) => one.headers);
      const traced = got.filter((one) => one['traceparent'] !== undefined);
      expect([got.length, traced.length]).toEqual([3, 2]);
      for (const one of traced) expect(one).toMatchObject(headers);
    });

    test('the access log has method, path, status, client and upstream, and no query string', async () => {
      await begin();
      await raw(`${edge.url}/api/users?email=someone@example.com`);
      await until('a line', () => edge.log().length > 0);
      expect(edge.log()[0]).toMatchObject({
        method: 'GET',
        path: '/api/users',
        status: 200,
        client: '127.0.0.1',
      });
      expect(JSON.stringify(edge.log())).not.toContain('someone');
    });

    test('the strong ETag of a user passes as it is, for If-Match needs it', async () => {
      await begin();
      answer(answers.json({ id: 1 }, { etag: '"v1"' }), answers.json({ id: 1 }, { etag: '"v1"' }));
      const one = await raw(`${edge.url}/api/users/1`, { headers: { 'accept-encoding': 'gzip' } });
      expect([one.headers['etag'], one.headers['content-encoding']]).toEqual(['"v1"', undefined]);
    });

    test.each([
      '/metrics',
      '/metrics/',
      '/Metrics',
      '/%6detrics',
      '/metrics?x=1',
      '/a/../metrics',
      '//metrics',
    ])('%s never reaches the service', async (path) => {
      await begin();
      const answered = await raw(edge.url, { path });
      expect([answered.status, hosts[0].seen.length + hosts[1].seen.length]).toEqual([404, 0]);
    });

    test('a host that comes and goes costs no read, and no write but those it had in hand', async () => {
      await begin();
      const slow: Answer = (_, response) => void setTimeout(() => response.end('{}'), 3);
      answer(slow, slow);
      const request = (n: number) => ({
        method: n % 4 === 0 ? 'POST' : 'GET',
        path: `/api/users?n=${n}`,
        body: '{}',
      });
      const load = startLoad({ targets: [edge.url], ratePerSecond: 250, request });
      const cuts: (readonly [fromMs: number, toMs: number])[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        const from = load.records.length;
        await until('some load', () => load.records.length > from + 60);
        const fromMs = load.elapsedMs();
        await hosts[0].down();
        cuts.push([fromMs, load.elapsedMs()]);
        await until('some load', () => load.records.length > from + 160);
        await hosts[0].up();
      }
      const records = await load.stop();
      expect(summarise(records, (record) => record.method === 'GET')).toMatchObject({ failed: 0 });
      // A cut costs the writes that were in flight at that moment (of 62 a second that take 3 ms
      // each, more on a busy machine), and no others. Without it, a third of all would be lost.
      const wasCut = ({ sentMs = 0, answeredMs = Number.POSITIVE_INFINITY }: RequestRecord) =>
        cuts.some(([fromMs, toMs]) => sentMs <= toMs && answeredMs >= fromMs);
      const lost = records.filter((record) => record.method === 'POST' && !isGood(record));
      expect(lost.filter((record) => !wasCut(record))).toEqual([]);
      expect(lost.length).toBeLessThanOrEqual(
        records.filter((record) => record.method === 'POST').length / 8,
      );
      const bodies = hosts.flatMap((host) => host.seen).filter((one) => one.method === 'POST');
      expect(new Set(bodies.map((one) => one.url)).size).toBe(bodies.length);
    });
  });
}

describeWith(['haproxy'], 'haproxy checks its hosts', () => {
  test('a host that drains gets no new request, and nothing fails meanwhile', async () => {
    const hosts = [await startBackend(), await startBackend()] as const;
    const edge = await startHaproxy({ hosts: hosts.map((host) => host.host) });
    try {
      const load = startLoad({
        targets: [edge.url],
        ratePerSecond: 200,
        request: (n) => ({ method: n % 2 ? 'POST' : 'GET', path: '/' }),
      });
      await until('both are used', () => hosts.every((host) => host.seen.length > 20));
      hosts[0].ready = false;
      let last = -1;
      await until(
        'the draining host is left alone',
        () => {
          const quiet = hosts[0].seen.length === last;
          last = hosts[0].seen.length;
          return quiet;
        },
        5000,
        200,
      );
      // In-flight work is done and nobody comes any more: now the host may go.
      await hosts[0].down();
      const from = load.records.length;
      await until('some load without it', () => load.records.length > from + 100);
      hosts[0].ready = true;
      await hosts[0].up();
      const before = hosts[0].seen.length;
      await until('it is back', () => hosts[0].seen.length > before + 10);
      expect(summarise(await load.stop())).toMatchObject({ failed: 0 });
    } finally {
      await edge.close();
      await Promise.all(hosts.map((host) => host.down()));
    }
  });
});

describeWith(['haproxy'], 'haproxy with no host that is ready', () => {
  test('asks them nevertheless: a cache may answer where the database cannot', async () => {
    const hosts = [await startBackend(), await startBackend()] as const;
    for (const host of hosts) host.ready = false;
    const edge = await startHaproxy({ hosts: hosts.map((host) => host.host) });
    try {
      // Long enough for both to be found not ready: two checks each.
      const records = await runLoad(
        {
          targets: [edge.url],
          ratePerSecond: 50,
          request: (n) => ({ method: n % 2 ? 'POST' : 'GET', path: '/' }),
        },
        4000,
      );
      expect(summarise(records)).toMatchObject({ failed: 0, outcomes: { 200: records.length } });
    } finally {
      await edge.close();
      await Promise.all(hosts.map((host) => host.down()));
    }
  });
});

describeWith(['nginx'], 'what the checks above can see', () => {
  test('with non_idempotent in the configuration a write is sent twice', async () => {
    const hosts = [await startBackend(answers.cut), await startBackend(answers.cut)] as const;
    const edge = await startNginx({
      hosts: hosts.map((host) => host.host),
      edit: (text) =>
        text.replaceAll(
          'proxy_next_upstream error timeout;',
          'proxy_next_upstream error timeout non_idempotent;',
        ),
    });
    try {
      await runLoad(
        {
          targets: [edge.url],
          ratePerSecond: 1,
          request: () => ({ method: 'POST', path: '/', body: '{}' }),
        },
        50,
      );
      expect(hosts[0].seen.length + hosts[1].seen.length).toBe(2);
    } finally {
      await edge.close();
      await Promise.all(hosts.map((host) => host.down()));
    }
  });
});

test('both edges and the service send one policy of Strict-Transport-Security, with TLS only', () => {
  const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
  const [, service] = SECURITY_HEADERS.find(([name]) => name === 'Strict-Transport-Security') ?? [];
  const [, nginx] = /map \$https \$edge_hsts \{[^}]*\bon\s+"([^"]+)";/.exec(
    read('nginx/snippets/http.conf'),
  ) ?? ['', ''];
  const haproxy = [
    ...read('haproxy/haproxy.cfg').matchAll(
      /set-header Strict-Transport-Security "([^"]+)" if \{ var\(txn\.is_tls\) -m found \}/g,
    ),
  ].map(([, policy]) => policy);
  expect([nginx, ...haproxy]).toEqual([service, service]);
});

import { startTestService, type TestService } from '../../support/app';
import { createClient, register } from '../../support/http';

const ORIGIN = 'https://app.example.test';
const started: TestService[] = [];
const start = async (settings: Record<string, string>) => {
  const service = await startTestService(settings);
  started.push(service);
  return createClient(service.baseUrl, { unchecked: settings['RATE_LIMIT'] === 'true' });
};
afterAll(() => Promise.all(started.map((service) => service.close())));

const preflight = (origin: string, method = 'PATCH') => ({
  headers: {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': 'authorization,content-type,if-match,idempotency-key',
  },
});

describe('CORS', () => {
  test('a listed origin may call and read the headers; a preflight needs no token and no body', async () => {
    const client = await start({ CORS_ORIGINS: `https://other.example.test, ${ORIGIN}` });
    const allowed = await client('OPTIONS', '/api/users/me', preflight(ORIGIN));
    expect([allowed.status, allowed.text]).toEqual([204, '']);
    expect(allowed.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(allowed.headers.get('vary')).toMatch(/\borigin\b/i);
    expect(allowed.headers.get('access-control-allow-methods')?.split(',')).toEqual([
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
    ]);
    const headers =
      allowed.headers.get('access-control-allow-headers')?.toLowerCase().split(',') ?? [];
    expect(headers).toEqual(
      expect.arrayContaining(['authorization', 'content-type', 'if-match', 'idempotency-key']),
    );
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
    expect(Number(allowed.headers.get('access-control-max-age'))).toBeGreaterThan(0);

    const { access_token: token } = await register(client);
    for (const answer of [
      await client('GET', '/api/auth/profile', { token, headers: { origin: ORIGIN } }),
      await client('GET', '/api/auth/profile', { headers: { origin: ORIGIN } }),
    ]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      const exposed = answer.headers.get('access-control-expose-headers')?.split(',') ?? [];
      expect(exposed).toEqual(
        expect.arrayContaining([
          'Date',
          'ETag',
          'Link',
          'Location',
          'RateLimit',
          'Retry-After',
          'Idempotent-Replayed',
        ]),
      );
    }
  });

  test.each([
    'https://evil.example.test',
    'https://app.example.test.evil.test',
    'http://app.example.test',
    'null',
  ])('%s is not listed: nothing allows it', async (origin) => {
    const client =
      started[0] === undefined
        ? await start({ CORS_ORIGINS: ORIGIN })
        : createClient(started[0].baseUrl);
    const answer = await client('OPTIONS', '/api/users/me', preflight(origin));
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('no origin is allowed when none is configured', async () => {
    const client = await start({});
    const answer = await client('OPTIONS', '/api/users', preflight(ORIGIN, 'POST'));
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, null]);
    expect(
      (await client('GET', '/livez', { headers: { origin: ORIGIN } })).headers.get(
        'access-control-allow-origin',
      ),
    ).toBeNull();
  });
});

describe('rate limits', () => {
  const limited = { RATE_LIMIT: 'true', RATE_LIMIT_WINDOW_MS: '3600000' };
  const forwarded = (address: string) => ({ headers: { 'x-forwarded-for': address } });
  const remaining = (headers: Headers) =>
    Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);

  test('are shown in draft-8 headers; over the limit: 429 problem with Retry-After', async () => {
    const client = await start({ ...limited, RATE_LIMIT_PER_CLIENT: '5' });
    for (let left = 4; left >= 0; left -= 1) {
      const { status, headers } = await client('GET', '/api/nothing');
      expect([status, remaining(headers)]).toEqual([404, left]);
      expect(headers.get('ratelimit')).toMatch(/^"client"; r=\d+; t=\d+$/);
      expect(headers.get('ratelimit-policy')).toMatch(
        /^"client"; q=5; w=3600; pk=:[A-Za-z0-9+/=]+:$/,
      );
      expect(headers.get('x-ratelimit-limit')).toBeNull();
    }
    const refused = await client('GET', '/api/nothing');
    expect([refused.status, refused.json.code, refused.headers.get('content-type')]).toEqual([
      429,
      'rate_limited',
      'application/problem+json',
    ]);
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(3600);
    expect(
      Math.abs(wait - Number(/t=(\d+)/.exec(refused.headers.get('ratelimit') ?? '')?.[1])),
    ).toBeLessThanOrEqual(1);
    expect((await client('GET', '/livez')).status).toBe(200);
  });

  test('are stricter on credential endpoints, for every response status', async () => {
    const client = await start({ ...limited, AUTH_RATE_LIMIT_PER_CLIENT: '3' });
    const guess = () =>
      client('POST', '/api/auth/login', {
        body: { email: 'a@example.org', password: 'wrong password' },
      });
    const answers = [await guess(), await guess(), await guess(), await guess()];
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 429]);
    const refused = answers[3];
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused?.headers.get('ratelimit')).toContain('"credentials"; r=0');
    expect((await client('GET', '/api/nothing')).status).toBe(404);
  });

  test('without a trusted proxy X-Forwarded-For is ignored', async () => {
    const client = await start({ ...limited, RATE_LIMIT_PER_CLIENT: '2' });
    const statuses = [];
    for (let i = 0; i < 4; i += 1)
      statuses.push((await client('GET', '/api/nothing', forwarded(`198.51.100.${i}`))).status);
    expect(statuses).toEqual([404, 404, 429, 429]);
  });

  test('behind one proxy the last address of X-Forwarded-For counts', async () => {
    const client = await start({ ...limited, RATE_LIMIT_PER_CLIENT: '2', TRUST_PROXY: '1' });
    const statuses = [];
    for (let i = 0; i < 3; i += 1)
      statuses.push(
        (await client('GET', '/api/nothing', forwarded(`198.51.100.${i}, 203.0.113.7`))).status,
      );
    expect(statuses).toEqual([404, 404, 429]);
    expect(
      (await client('GET', '/api/nothing', forwarded('203.0.113.7, 203.0.113.8'))).status,
    ).toBe(404);
  });

  test('IPv6 addresses of one /56 share a limit; another network has its own', async () => {
    const client = await start({ ...limited, RATE_LIMIT_PER_CLIENT: '2', TRUST_PROXY: '1' });
    const statuses = [];
    for (let i = 0; i < 3; i += 1)
      statuses.push(
        (await client('GET', '/api/nothing', forwarded(`2001:db8:1:2:${i}::${i}`))).status,
      );
    expect(statuses).toEqual([404, 404, 429]);
    expect((await client('GET', '/api/nothing', forwarded('2001:db8:2::1'))).status).toBe(404);
  });

  test('a preflight and health are never limited', async () => {
    const client = await start({ ...limited, RATE_LIMIT_PER_CLIENT: '1', CORS_ORIGINS: ORIGIN });
    for (let i = 0; i < 4; i += 1) {
      expect((await client('OPTIONS', '/api/users/me', preflight(ORIGIN))).status).toBe(204);
      expect((await client('GET', '/readyz')).status).toBe(200);
    }
  });
});

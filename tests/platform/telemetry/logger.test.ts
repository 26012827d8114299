import { Writable } from 'node:stream';
import { createLogger } from '../../../src/platform/telemetry/logger';

test('secrets are redacted in every shape that the service logs', () => {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLogger({ level: 'trace' }, sink);
  const canary = 'canary-7f3a';
  log.info(
    {
      password: canary,
      body: { password: canary, new_password: canary, current_password: canary },
    },
    'a',
  );
  log.info(
    { req: { headers: { authorization: `Bearer ${canary}`, cookie: canary, dpop: canary } } },
    'b',
  );
  log.info(
    { user: { passwordHash: canary }, tokens: { access_token: canary, refresh_token: canary } },
    'c',
  );
  log.info(
    { a: { b: { c: { secret: canary } } }, res: { headers: { 'set-cookie': canary } } },
    'd',
  );
  const out = lines.join('');
  expect(out).not.toContain(canary);
  expect(out.match(/\[redacted\]/g)?.length).toBeGreaterThanOrEqual(10);
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).msg),
  ).toEqual(['a', 'b', 'c', 'd']);
});

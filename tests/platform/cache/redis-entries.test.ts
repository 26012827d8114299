import { createRedisEntries, type Place } from '../../../src/platform/cache/redis-entries';
import type { RedisConnection } from '../../../src/platform/redis/connection';

const NONCE = Buffer.from('0123456789abcdef');
const USER: Place = { group: 'user:a', field: 'user.v3:a' };
const stored = (field: string, kind = 'V') =>
  Buffer.concat([NONCE, Buffer.from(`${kind}${field}\n{"some":"bytes"}`)]);

/** Redis entries over a connection that gives the test's reply. */
function answering(reply: unknown) {
  let resets = 0;
  const redis: Pick<RedisConnection, 'send' | 'run' | 'reset'> = {
    send: async () => reply,
    run: async () => reply,
    reset() {
      resets += 1;
    },
  };
  return {
    entries: createRedisEntries(redis, { prefix: 'p', leaseTtlMs: 1, writerTtlMs: 1 }),
    count: () => resets,
  };
}

test('the value of its own key is used', async () => {
  const { entries, count } = answering([NONCE, stored(USER.field)]);
  expect(await entries.read('g', USER)).toEqual({
    kind: 'value',
    bytes: Buffer.from('{"some":"bytes"}'),
  });
  const absent = answering([NONCE, stored(USER.field, 'N')]);
  expect(await absent.entries.read('g', USER)).toEqual({ kind: 'none' });
  expect(count()).toBe(0);
});

test.each([
  ['another user', [NONCE, stored('user.v3:b')]],
  ['another kind with the same id', [NONCE, stored('service.v2:a')]],
  ['another shape of the same user', [NONCE, stored('user.v2:a')]],
  ['a user whose id only begins alike', [NONCE, stored('user.v3:ab')]],
  ['the absence of another user', [NONCE, stored('user.v3:b', 'N')]],
  ['a value without a name', [NONCE, Buffer.concat([NONCE, Buffer.from('V{}')])]],
  ['a number', 1],
  ['a text', Buffer.from('OK')],
  ['nothing', null],
  ['a list of one', [NONCE]],
  ['a list of numbers', [1, 2]],
  ['the reply of a script', [Buffer.from('12'), 1]],
])('a reply to another command is refused: %s', async (_, reply) => {
  const { entries, count } = answering(reply);
  await expect(entries.read('g', USER)).rejects.toThrow('another key');
  expect(count()).toBe(1);
});

test('so is the value that another reader has just filled under another key', async () => {
  const { entries, count } = answering([3, stored('user.v3:b')]);
  await expect(entries.lease('g', USER)).rejects.toThrow('another key');
  expect(count()).toBe(1);
});

import { parseAddresses } from '../../../src/platform/redis/deployment';
import { slotOf } from '../../../src/platform/redis/slots';

// The vectors are those of the Redis Cluster specification and of CLUSTER KEYSLOT.
it.each([
  ['123456789', 12739],
  ['foo', 12182],
  ['{user1000}.following', 3443],
  ['{user1000}.followers', 3443],
  ['foo{}{bar}', 8363],
  ['foo{{bar}}zap', 4015],
  ['foo{bar}{zap}', 5061],
])('the slot of %s is %d', (key, slot) => {
  expect(slotOf(key)).toBe(slot);
});

it('reads one address or several, with login, TLS and database', () => {
  expect(parseAddresses('redis://cache')).toEqual({
    nodes: [{ host: 'cache', port: 6379 }],
    tls: false,
    database: 0,
  });
  expect(parseAddresses('rediss://u:p%40ss@[::1]:7000/3, b:7001,redis://c:7002')).toEqual({
    nodes: [
      { host: '::1', port: 7000 },
      { host: 'b', port: 7001 },
      { host: 'c', port: 7002 },
    ],
    username: 'u',
    password: 'p@ss',
    tls: true,
    database: 3,
  });
});

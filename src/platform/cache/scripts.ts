import { defineScript } from '../redis/script';

/**
 * A group has, in one hash slot: a nonce `n` that every write deletes; the writers in progress `w`,
 * a sorted set of their tokens by expiry (Redis' own clock); and its values, each beginning with
 * the nonce under which it was filled. A value with another nonce than the current one is dead:
 * deleting one small key drops every value of the group at once.
 */
const NOW = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`;

/**
 * KEYS n w, ARGV token ttlMs. The DEL comes first: when memory is short, Redis lets a script
 * continue that has begun to write.
 */
export const ENTER = defineScript(
  2,
  true,
  `redis.call('DEL', KEYS[1])${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1`,
);

/** KEYS n w, ARGV token. Idempotent, so that it can be repeated after a lost reply. */
export const LEAVE = defineScript(
  2,
  true,
  `redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`,
);

/**
 * A nonce lives at least as long as the values under it; that of an absent value no longer than the
 * negative TTL.
 */
const KEEP_NONCE = (ttl: string): string =>
  `if redis.call('PTTL', KEYS[1]) < ${ttl} then redis.call('PEXPIRE', KEYS[1], ${ttl}) end`;

/**
 * KEYS n w v, ARGV newNonce leaseToken leaseTtlMs. Its first write is one that a server short of
 * memory refuses. Replies: {0}: a writer is in progress; {1}: another reader has the lease;
 * {2, nonce}: the caller has the lease; {3, value}: another reader has just filled it.
 */
export const LEASE = defineScript(
  3,
  false,
  `${NOW}
if redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') > 0 then return {0} end
local n = redis.call('GET', KEYS[1])
if n then
  ${KEEP_NONCE('tonumber(ARGV[3])')}
else
  n = ARGV[1]
  redis.call('SET', KEYS[1], n, 'PX', ARGV[3])
end
local v = redis.call('GET', KEYS[3])
if v and string.sub(v, 1, #n) == n then
  if string.sub(v, #n + 1, #n + 1) == 'L' then return {1} end
  return {3, v}
end
redis.call('SET', KEYS[3], n .. 'L' .. ARGV[2], 'PX', ARGV[3])
return {2, n}`,
);

/**
 * KEYS n v, ARGV nonce leaseToken value ttlMs. Fills only while the caller has the lease and no
 * write has come between.
 */
export const FILL = defineScript(
  2,
  false,
  `if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[1] .. 'L' .. ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
${KEEP_NONCE('tonumber(ARGV[4])')}
return 1`,
);

/**
 * KEYS table, ARGV ttlMs offset…: counts a write for each offset. Never creates a table: a new one
 * must have another header. PEXPIRE comes first, for the same reason as ENTER's DEL.
 */
export const INCREMENT_COUNTERS = defineScript(
  1,
  true,
  `if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
for i = 2, #ARGV do redis.call('BITFIELD', KEYS[1], 'INCRBY', 'u32', '#' .. ARGV[i], 1) end
return 1`,
);

/** KEYS table. A script for its tag: the reply to a plain GET could belong to an earlier one. */
export const READ_COUNTERS = defineScript(1, false, "return redis.call('GET', KEYS[1])");

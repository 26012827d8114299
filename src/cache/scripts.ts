import { createHash } from 'node:crypto';

/** A Lua script, called by its SHA-1 and sent whole only when the server does not know it (NOSCRIPT). */
export interface Script {
  readonly text: string;
  readonly sha: string;
  readonly keys: string;
  /** A server that refuses this one is of no use: writes could not be told to it. */
  readonly vital: boolean;
}

export function script(keys: number, vital: boolean, text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex'), keys: String(keys), vital };
}

/**
 * A group has, in one hash slot: a nonce `n` that every write deletes; the writers in progress `w`, a sorted set of their tokens by
 * expiry (Redis' own clock); and its values `v:…`, each beginning with the nonce under which it was filled. A value
 * whose nonce is not the present one is dead: deleting one small key drops every value of the group at once.
 */
const NOW = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`;

/** KEYS n w, ARGV token ttlMs. The DEL comes first: Redis lets a script that has begun to write go on when memory is short. */
export const ENTER = script(
  2,
  true,
  `redis.call('DEL', KEYS[1])${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1`,
);

/** KEYS n w, ARGV token. Idempotent, so that it can be repeated when an answer was lost. */
export const LEAVE = script(
  2,
  true,
  `redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`,
);

/** A nonce lives at least as long as what is stored under it; that of an absent user no longer than "there is none". */
const KEEP_NONCE = (ttl: string): string => `if redis.call('PTTL', KEYS[1]) < ${ttl} then redis.call('PEXPIRE', KEYS[1], ${ttl}) end`;

/**
 * KEYS n w v, ARGV newNonce leaseToken leaseTtlMs. Its first write is one that a server short of memory refuses. Answers {0}: a writer is in progress; {1}: another reader has
 * the lease; {2, nonce}: the lease is yours; {3, value}: somebody has just filled it.
 */
export const LEASE = script(
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

/** KEYS n v, ARGV nonce leaseToken value ttlMs. Fills only while the lease is still the caller's and no write has come between. */
export const FILL = script(
  2,
  false,
  `if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[1] .. 'L' .. ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
${KEEP_NONCE('tonumber(ARGV[4])')}
return 1`,
);

/**
 * KEYS table, ARGV ttlMs offset…: counts a write for each offset. A table that is not there stays so: what is made anew has another header.
 * PEXPIRE first, for the same reason as ENTER's DEL.
 */
export const STAMP = script(
  1,
  true,
  `if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
for i = 2, #ARGV do redis.call('BITFIELD', KEYS[1], 'INCRBY', 'u32', '#' .. ARGV[i], 1) end
return 1`,
);

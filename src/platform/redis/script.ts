import { createHash } from 'node:crypto';

/** A Lua script, called by its SHA-1 and sent whole only when the server answers NOSCRIPT. */
export interface Script {
  readonly text: string;
  readonly sha: string;
  /** The number of keys, as EVALSHA takes it. */
  readonly keys: string;
  /** True for the scripts of a write: a server that refuses one of them is not used. */
  readonly isEssential: boolean;
}

/**
 * Every script takes one more argument, a tag, and answers {tag, result}: this is how
 * RedisConnection.run knows that a reply belongs to its call.
 */
export function defineScript(keys: number, isEssential: boolean, body: string): Script {
  const text = `local tag = table.remove(ARGV)\nlocal function run()\n${body}\nend\nreturn {tag, run()}`;
  const sha = createHash('sha1').update(text).digest('hex');
  return { text, sha, keys: String(keys), isEssential };
}

import * as crypto from 'node:crypto';
import { promisify } from 'node:util';
import * as binding from './argon2-binding';
import type { Argon2Work } from './argon2-work';

/** `crypto.argon2`, from Node 24.7 on. The types of Node 20 do not have it. */
interface NativeParameters {
  readonly message: string;
  readonly nonce: Buffer;
  readonly parallelism: number;
  readonly tagLength: number;
  readonly memory: number;
  readonly passes: number;
}
interface NativeArgon2 {
  argon2(
    algorithm: string,
    parameters: NativeParameters,
    callback: (error: Error | null, digest: Buffer) => void,
  ): void;
  argon2Sync(algorithm: string, parameters: NativeParameters): Buffer;
}

const native = findNative();
const deriveNative = native && promisify(native.argon2);

/** Of the versions, Node's own knows 19 only. */
const isNative = ({ version }: Argon2Work) => version === 19;

/** Which implementation makes and checks hashes of today's version. */
export const argon2Source = native === undefined ? '@node-rs/argon2' : 'node:crypto';

/** In libuv's threads. */
export async function deriveArgon2(password: string, work: Argon2Work): Promise<Buffer> {
  if (deriveNative !== undefined && isNative(work))
    return deriveNative(work.algorithm, nativeParameters(password, work));
  return binding.derive(password, work);
}

/** Blocks the thread: for worker threads. */
export function deriveArgon2Sync(password: string, work: Argon2Work): Buffer {
  if (native !== undefined && isNative(work))
    return native.argon2Sync(work.algorithm, nativeParameters(password, work));
  return binding.deriveSync(password, work);
}

const nativeParameters = (message: string, work: Argon2Work): NativeParameters => ({
  message,
  nonce: work.salt,
  parallelism: work.parallelism,
  tagLength: work.digestBytes,
  memory: work.memoryKib,
  passes: work.passes,
});

/** Tried once: a Node that uses the system's OpenSSL has the function also where that cannot. */
function findNative(): NativeArgon2 | undefined {
  const found = crypto as unknown as Partial<NativeArgon2>;
  if (found.argon2 === undefined || found.argon2Sync === undefined) return undefined;
  const least = { nonce: Buffer.alloc(16), parallelism: 1, tagLength: 16, memory: 8, passes: 1 };
  try {
    found.argon2Sync('argon2id', { message: 'probe', ...least });
    return found as NativeArgon2;
  } catch {
    return undefined;
  }
}

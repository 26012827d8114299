import type { Argon2Work } from './argon2-work';

type Binding = typeof import('@node-rs/argon2');

/** The values of the binding's enums, which `isolatedModules` cannot import. */
const ALGORITHMS = { argon2i: 1, argon2id: 2 } as const;
const VERSIONS: Readonly<Record<number, number>> = { 16: 0, 19: 1 };

/** Loaded with the first such hash: most deployments have none. */
const binding = (): Binding => require('@node-rs/argon2');

export const derive = (password: string, work: Argon2Work): Promise<Buffer> =>
  binding().hashRaw(password, optionsOf(work));

export const deriveSync = (password: string, work: Argon2Work): Buffer =>
  binding().hashRawSync(password, optionsOf(work));

const optionsOf = (work: Argon2Work) => ({
  memoryCost: work.memoryKib,
  timeCost: work.passes,
  parallelism: work.parallelism,
  algorithm: ALGORITHMS[work.algorithm] as number,
  version: VERSIONS[work.version] as number,
  salt: work.salt,
  outputLen: work.digestBytes,
});

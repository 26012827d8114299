export interface Argon2Work {
  readonly algorithm: 'argon2i' | 'argon2id';
  /** 16 or 19. */
  readonly version: number;
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly digestBytes: number;
}

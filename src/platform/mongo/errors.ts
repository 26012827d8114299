/** MongoDB's DuplicateKey error (code 11000): nothing was written. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 11000;

/** The same, by the unique index of this name. */
export const isDuplicateOf = (error: unknown, index: string): boolean =>
  isDuplicateKey(error) && (error as Error).message.includes(` index: ${index} `);

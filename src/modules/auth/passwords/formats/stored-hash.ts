/** A stored password hash that can be checked. One string in the database holds all of it. */
export interface StoredHash {
  /** The canonical form, a PHC string; bcrypt has its own. */
  readonly text: string;
  /** The part of `text` that decides the work of a check: neither salt nor digest. */
  readonly parameters: string;
  /** The work in bcrypt rounds where bcrypt does it. undefined: it can only be measured. */
  readonly rounds?: number;
  /** Whether this password can be right. If not, it must not be checked. */
  accepts(password: string): boolean;
  matches(password: string): Promise<boolean>;
}

type HashRefusalCode =
  | 'hash_unknown'
  | 'hash_malformed'
  | 'hash_out_of_bounds'
  | 'hash_unsupported'
  | 'hash_algorithm_missing';

/** Why a hash is not taken over. The message is a predicate; its subject is the hash. */
export interface HashRefusal {
  readonly code: HashRefusalCode;
  readonly message: string;
}

export class HashRefusalError extends Error implements HashRefusal {
  override readonly name = 'HashRefusalError';
  readonly code: HashRefusalCode;

  constructor(code: HashRefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

export const malformed = (message: string) => new HashRefusalError('hash_malformed', message);
export const unsupported = (message: string) => new HashRefusalError('hash_unsupported', message);

/** Throws unless `low <= value <= high`: a hash from outside must not take a worker's time. */
export function assertWithin(name: string, value: number, low: number, high: number): void {
  if (value >= low && value <= high) return;
  throw new HashRefusalError('hash_out_of_bounds', `must have ${name} of ${low} to ${high}`);
}

/** Text of which UTF-8 has one form. Half a surrogate pair becomes U+FFFD, as any other half. */
export const isText = (password: string): boolean => !/\p{Surrogate}/u.test(password);

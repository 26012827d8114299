/** Set while a read goes on. */
export interface ReadContext {
  /** No writer of the group was in progress: only then may the counters alone renew the entry. */
  isRenewable: boolean;
  answeredBy?: 'redis' | 'mongodb';
  /** Why Redis did not answer. */
  reason?: ReadReason;
}

/** Reads past the local entries. */
export type ReadThrough<T> = (key: string, context: ReadContext) => Promise<T | null>;

export type ReadReason =
  | ('no_redis' | 'redis_not_in_use' | 'redis_error')
  | ('absent' | 'busy' | 'undecodable');

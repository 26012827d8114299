import type { Encrypted } from '../../kernel/crypto/encryption';

/** Why an attempt failed, as its creator may see it. */
export const FAILURES = ['status', 'redirect', 'timeout', 'connection', 'refused_target'] as const;
type FailureReason = (typeof FAILURES)[number];

export interface Failure {
  readonly at: Date;
  readonly reason: FailureReason;
  /** Of the answer, where there was one. */
  readonly status?: number;
}

/** Events that the log no longer had when it was their turn. */
export interface Gap {
  readonly at: Date;
  /** The last one that was sent before. */
  readonly after: number;
  /** The first one that the log had. */
  readonly before: number;
}

/** `gone`: the receiver answered 410. `failing`: nothing could be delivered for days. */
export const DISABLED_REASONS = ['manual', 'failing', 'gone'] as const;
export type DisabledReason = (typeof DISABLED_REASONS)[number];

export interface StoredSecret {
  readonly encrypted: Encrypted;
  /** The former secret signs until then. */
  readonly until?: Date;
}

/** An address that events are posted to. */
export interface Webhook {
  readonly _id: string;
  readonly url: string;
  readonly description: string;
  /** null: events of every type. */
  readonly types: readonly string[] | null;
  /** The newest first. */
  readonly secrets: readonly StoredSecret[];
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly status: 'enabled' | 'disabled';
  readonly disabledReason?: DisabledReason;
  /**
   * Every event up to this sequence was delivered, or is a delivery to be repeated
   * (delivery-store.ts).
   */
  readonly position: number;
  /** No attempt begins before. */
  readonly dueAt: Date;
  /** Deliveries were asked for during the present batch: no pause follows it. */
  readonly isWoken?: boolean;
  /** One process delivers at a time: until then, the one with this mark. */
  readonly leaseUntil: Date;
  readonly holder: string;
  /** Batches in a row of which nothing was delivered. */
  readonly failures: number;
  readonly failingSince?: Date;
  readonly lastDeliveredAt?: Date;
  readonly lastFailure?: Failure;
  readonly lastGap?: Gap;
}

/** A delivery that failed, and is repeated or given up. */
export interface Delivery {
  readonly webhook: string;
  /** Of the event. */
  readonly sequence: number;
  readonly state: 'waiting' | 'dead';
  readonly attempts: number;
  readonly dueAt: Date;
  /** undefined: it waits behind another event of the same user. */
  readonly lastFailure?: Failure;
  readonly createdAt: Date;
}

import { afterNow } from '../../platform/mongo/expressions';
import type { DisabledReason, Failure, Gap } from './webhook';

/** The outcome of one batch of a webhook. */
export interface BatchOutcome {
  /** Every event up to here is done with. */
  readonly position: number;
  readonly delivered: number;
  readonly failed: number;
  readonly failure?: Failure;
  /** Events that expired before they were sent. */
  readonly gap?: Gap;
  /** The pause before the next batch, if nothing was delivered. */
  readonly pauseMs: number;
  /** The receiver wants no more events. */
  readonly isGone: boolean;
}

/** No pause, or no lease. */
export const NOT_SET = new Date(0);

/** The process that has the lease notices when it ends its batch. */
export const FREE = { holder: '', leaseUntil: NOT_SET } as const;

/** The update of a webhook that ends a batch and its lease. */
export function settlement(outcome: BatchOutcome, disableAfterMs: number): object[] {
  const { position, delivered, failed, failure, gap, pauseMs, isGone } = outcome;
  const done = {
    ...{ position, ...FREE, ...(failure && { lastFailure: failure }) },
    ...(gap && { lastGap: gap }),
    ...(delivered > 0 && { lastDeliveredAt: '$$NOW' }),
  };
  if (isGone) return [{ $set: { ...done, ...disabled('gone') } }];
  if (delivered > 0)
    return [{ $set: { ...done, failures: 0, dueAt: NOT_SET } }, { $unset: 'failingSince' }];
  if (failed === 0) return [{ $set: done }];
  const isOver = { $lte: [{ $add: ['$failingSince', disableAfterMs] }, '$$NOW'] };
  const failing = Object.entries(disabled('failing'));
  return [
    {
      $set: {
        ...done,
        failures: { $add: ['$failures', 1] },
        failingSince: { $ifNull: ['$failingSince', '$$NOW'] },
        dueAt: { $cond: ['$isWoken', NOT_SET, afterNow(pauseMs)] },
      },
    },
    {
      $set: Object.fromEntries(
        failing.map(([name, value]) => [name, { $cond: [isOver, value, `$${name}`] }]),
      ),
    },
  ];
}

const disabled = (disabledReason: DisabledReason) =>
  ({ status: 'disabled', disabledReason }) as const;

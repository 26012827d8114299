import { randomUUID } from 'node:crypto';
import { type Connection, Types } from 'mongoose';
import { problems } from '../../kernel/errors';
import { afterNow } from '../../platform/mongo/expressions';
import type { DisabledReason, Failure, StoredSecret, Webhook } from './webhook';

export const WEBHOOKS_COLLECTION = 'webhooks';
/** Few are needed, and the list is not paged. */
export const MAX_WEBHOOKS = 50;

interface WebhookChanges {
  readonly url?: string;
  readonly description?: string;
  readonly types?: readonly string[] | null;
  readonly status?: 'enabled' | 'disabled';
}

/** What came of one batch of a webhook. */
export interface BatchOutcome {
  /** Every event up to here is done with. */
  readonly position: number;
  readonly delivered: number;
  readonly failed: number;
  readonly failure?: Failure;
  /** Nothing is sent for so long, if nothing was delivered. */
  readonly pauseMs: number;
  /** The receiver wants no more events. */
  readonly isGone: boolean;
}

export interface WebhookStore {
  /** Throws 409 past MAX_WEBHOOKS. */
  create(webhook: NewWebhook): Promise<Webhook>;
  list(): Promise<Webhook[]>;
  /** Throws 404. */
  get(id: string): Promise<Webhook>;
  createdBy(userId: string): Promise<Webhook[]>;
  renameCreator(userId: string, pseudonym: string): Promise<void>;
  /** Throws 404. */
  change(id: string, changes: WebhookChanges): Promise<Webhook>;
  /** Throws 404. Those that are given replace the others. */
  setSecrets(id: string, secrets: readonly StoredSecret[]): Promise<Webhook>;
  /** Goes on after this sequence, wherever it was. Throws 404. */
  replayAfter(id: string, sequence: number): Promise<void>;
  /** Throws 404. */
  remove(id: string): Promise<void>;
  /** Enabled, not leased, and not in a pause. */
  due(): Promise<Webhook[]>;
  anyEnabled(): Promise<boolean>;
  /** The webhook, for `leaseMs`; null: another process was faster. */
  claim(id: string, leaseMs: number): Promise<Webhook | null>;
  /**
   * Ends the lease. null: it was over, or the webhook was changed or removed meanwhile. Disables it
   * where it has failed for longer than `disableAfterMs`.
   */
  settle(claimed: Webhook, outcome: BatchOutcome, disableAfterMs: number): Promise<Webhook | null>;
}

type NewWebhook = Pick<Webhook, 'url' | 'description' | 'types' | 'createdBy' | 'position'> & {
  /** Made with the id, to which the encryption binds it. */
  readonly secretOf: (id: string) => StoredSecret;
};

const START = new Date(0);
const notFound = () => problems.notFound('There is no such webhook.', 'webhook_not_found');

export function createWebhookStore(
  connection: Connection,
  { timeoutMs, now }: { readonly timeoutMs: number; readonly now: () => number },
): WebhookStore {
  // Buffers, not the driver's Binary: they are decrypted.
  const bounded = {
    maxTimeMS: timeoutMs,
    promoteBuffers: true,
    readPreference: 'primary',
  } as const;
  const rows = () => connection.collection<Webhook>(WEBHOOKS_COLLECTION);
  const after = { ...bounded, returnDocument: 'after' } as const;
  const all = (filter: object) => rows().find(filter, bounded).limit(MAX_WEBHOOKS);

  async function update(id: string, change: object | object[]): Promise<Webhook> {
    const changed = await rows().findOneAndUpdate({ _id: id }, change, after);
    return changed ?? raise(notFound());
  }

  return {
    async create({ secretOf, ...rest }) {
      if ((await rows().countDocuments({}, { ...bounded, limit: MAX_WEBHOOKS })) >= MAX_WEBHOOKS)
        throw problems.conflict(
          'too_many_webhooks',
          `There can be at most ${MAX_WEBHOOKS} webhooks.`,
        );
      const id = new Types.ObjectId().toHexString();
      const webhook: Webhook = {
        ...{ _id: id, ...rest, secrets: [secretOf(id)], createdAt: new Date(now()) },
        ...{ status: 'enabled', dueAt: START, leaseUntil: START, holder: '', failures: 0 },
      };
      await rows().insertOne(webhook);
      return webhook;
    },
    list: async () => all({}).sort({ _id: -1 }).toArray(),
    get: async (id) => (await rows().findOne({ _id: id }, bounded)) ?? raise(notFound()),
    // Without an index: there are at most MAX_WEBHOOKS.
    createdBy: async (createdBy) => all({ createdBy }).toArray(),
    async renameCreator(createdBy, pseudonym) {
      const to = { $set: { createdBy: pseudonym } };
      await rows().updateMany({ createdBy }, to, { maxTimeMS: timeoutMs });
    },
    change(id, { status, ...changes }) {
      // What was found out about the former address or before the pause is over.
      const begins = { status, failures: 0, dueAt: START, ...FREE };
      const stops = { status, disabledReason: 'manual' as const, ...FREE };
      const moved = changes.url === undefined ? {} : { failures: 0, dueAt: START, ...FREE };
      const isEnabled = status === 'enabled';
      return update(id, {
        $set: { ...changes, ...moved, ...(status && (isEnabled ? begins : stops)) },
        ...(isEnabled ? { $unset: { disabledReason: 1, failingSince: 1 } } : {}),
      });
    },
    setSecrets: (id, secrets) => update(id, { $set: { secrets } }),
    async replayAfter(id, position) {
      await update(id, { $set: { position, dueAt: START, ...FREE } });
    },
    async remove(id) {
      const { deletedCount } = await rows().deleteOne({ _id: id }, { maxTimeMS: timeoutMs });
      if (deletedCount === 0) throw notFound();
    },
    due: async () => all({ status: 'enabled', ...IS_DUE }).toArray(),
    async anyEnabled() {
      return (await rows().findOne({ status: 'enabled' }, { ...bounded, projection: {} })) !== null;
    },
    claim: async (id, leaseMs) =>
      rows().findOneAndUpdate(
        { _id: id, status: 'enabled', ...IS_DUE },
        [{ $set: { holder: randomUUID(), leaseUntil: afterNow(leaseMs) } }],
        after,
      ),
    settle: async ({ _id, holder }, outcome, disableAfterMs) =>
      rows().findOneAndUpdate({ _id, holder }, settlement(outcome, disableAfterMs), after),
  };
}

/** The process that has the lease notices when it ends its batch. */
const FREE = { holder: '', leaseUntil: START } as const;
const IS_DUE = {
  $expr: { $and: [{ $lte: ['$dueAt', '$$NOW'] }, { $lte: ['$leaseUntil', '$$NOW'] }] },
} as const;

function settlement(outcome: BatchOutcome, disableAfterMs: number): object[] {
  const { position, delivered, failed, failure, pauseMs, isGone } = outcome;
  const done = { position, ...FREE, ...(failure && { lastFailure: failure }) };
  if (delivered > 0)
    return [
      { $set: { ...done, failures: 0, dueAt: START, lastDeliveredAt: '$$NOW' } },
      { $unset: 'failingSince' },
    ];
  if (isGone) return [{ $set: { ...done, ...disabled('gone') } }];
  if (failed === 0) return [{ $set: done }];
  const isOver = { $lte: [{ $add: ['$failingSince', disableAfterMs] }, '$$NOW'] };
  const failing = Object.entries(disabled('failing'));
  return [
    {
      $set: {
        ...done,
        failures: { $add: ['$failures', 1] },
        failingSince: { $ifNull: ['$failingSince', '$$NOW'] },
        dueAt: afterNow(pauseMs),
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

function raise(problem: Error): never {
  throw problem;
}

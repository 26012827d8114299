import { randomUUID } from 'node:crypto';
import { type Connection, Types } from 'mongoose';
import { problems } from '../../kernel/errors';
import { commandTime } from '../../platform/mongo/command-time';
import { afterNow } from '../../platform/mongo/expressions';
import { insertWithin } from '../../platform/mongo/insert-within';
import { type BatchOutcome, FREE, NOT_SET, settlement } from './settlement';
import type { StoredSecret, Webhook } from './webhook';

export const WEBHOOKS_COLLECTION = 'webhooks';
/** Few are needed, and the list is not paged. */
export const MAX_WEBHOOKS = 50;

export interface WebhookChanges {
  readonly url?: string;
  readonly description?: string;
  readonly types?: readonly string[] | null;
  readonly status?: 'enabled' | 'disabled';
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
  /** The former ones sign beside it for a day. Throws 404. */
  addSecret(id: string, secret: StoredSecret): Promise<Webhook>;
  /** Goes back to this sequence, never forward. Resolves with where it was. Throws 404. */
  replayAfter(id: string, sequence: number): Promise<number>;
  /** Ends a pause. Throws 404. */
  wake(id: string): Promise<void>;
  /** Throws 404. */
  remove(id: string): Promise<void>;
  /** Enabled, not leased, and not in a pause. */
  due(): Promise<Webhook[]>;
  anyEnabled(): Promise<boolean>;
  /** The webhook, for `leaseMs`; null: another process was faster. */
  claim(id: string, leaseMs: number): Promise<Webhook | null>;
  /** Whether the claim stands, and nothing that it was made for has changed. */
  stands(claimed: Webhook): Promise<boolean>;
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

/** Time for receivers to learn a new secret. */
const FORMER_MS = 86_400_000;
/** Together with the new one: as many signatures are sent. */
const FORMER_MAX = 2;
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
    const { inTime, assertInTime } = commandTime(now, timeoutMs);
    const changed = await rows().findOneAndUpdate({ _id: id, ...inTime }, change, after);
    if (changed !== null) return changed;
    assertInTime();
    throw notFound();
  }

  return {
    async create({ secretOf, ...rest }) {
      const id = new Types.ObjectId().toHexString();
      const webhook: Webhook = {
        ...{ _id: id, ...rest, secrets: [secretOf(id)], createdAt: new Date(now()) },
        ...{ status: 'enabled', dueAt: NOT_SET, leaseUntil: NOT_SET, holder: '', failures: 0 },
      };
      const limit = { filter: {}, max: MAX_WEBHOOKS, timeoutMs, now };
      if (await insertWithin(rows(), webhook, limit)) return webhook;
      throw problems.conflict(
        'too_many_webhooks',
        `There can be at most ${MAX_WEBHOOKS} webhooks.`,
      );
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
      // Results of the former address, or from before the pause, no longer count.
      const begins = { status, failures: 0, dueAt: NOT_SET };
      const stops = { status, disabledReason: 'manual' as const };
      const moved = changes.url === undefined ? {} : { failures: 0, dueAt: NOT_SET };
      const isEnabled = status === 'enabled';
      return update(id, {
        $set: { ...FREE, ...changes, ...moved, ...(status && (isEnabled ? begins : stops)) },
        $unset: {
          ...(isEnabled && { disabledReason: 1 }),
          ...((isEnabled || changes.url !== undefined) && { failingSince: 1 }),
        },
      });
    },
    addSecret: (id, secret) => update(id, [{ $set: { secrets: withFormer(secret) } }]),
    async replayAfter(id, sequence) {
      const position = { $min: ['$position', sequence] };
      const back = [{ $set: { position, dueAt: NOT_SET, ...FREE } }];
      const before = { ...bounded, returnDocument: 'before' } as const;
      const found = await rows().findOneAndUpdate({ _id: id }, back, before);
      return (found ?? raise(notFound())).position;
    },
    async wake(id) {
      // A batch under way keeps its claim, and must not put its own pause over it.
      await update(id, { $set: { dueAt: NOT_SET, isWoken: true } });
    },
    async remove(id) {
      const { inTime, assertInTime } = commandTime(now, timeoutMs);
      const removal = { _id: id, ...inTime };
      const { deletedCount } = await rows().deleteOne(removal, { maxTimeMS: timeoutMs });
      if (deletedCount > 0) return;
      assertInTime();
      throw notFound();
    },
    due: async () => all({ status: 'enabled', ...IS_DUE }).toArray(),
    async anyEnabled() {
      return (await rows().findOne({ status: 'enabled' }, { ...bounded, projection: {} })) !== null;
    },
    claim: async (id, leaseMs) =>
      rows().findOneAndUpdate(
        { _id: id, status: 'enabled', ...IS_DUE },
        [{ $set: { holder: randomUUID(), leaseUntil: afterNow(leaseMs), isWoken: false } }],
        after,
      ),
    stands: async ({ _id, holder }) =>
      (await rows().findOne({ _id, holder }, { ...bounded, projection: { _id: 1 } })) !== null,
    settle: async ({ _id, holder }, outcome, disableAfterMs) =>
      rows().findOneAndUpdate({ _id, holder }, settlement(outcome, disableAfterMs), after),
  };
}

/** In one update, so that of two rotations at once neither loses the secret of the other. */
function withFormer(secret: StoredSecret): object {
  const ends = { $ifNull: ['$$this.until', afterNow(FORMER_MS)] };
  const current = { $filter: { input: '$secrets', cond: { $gt: [ends, '$$NOW'] } } };
  const former = { $map: { input: current, in: { $mergeObjects: ['$$this', { until: ends }] } } };
  return { $concatArrays: [[{ $literal: secret }], { $slice: [former, FORMER_MAX] }] };
}

const IS_DUE = {
  $expr: { $and: [{ $lte: ['$dueAt', '$$NOW'] }, { $lte: ['$leaseUntil', '$$NOW'] }] },
} as const;

function raise(problem: Error): never {
  throw problem;
}

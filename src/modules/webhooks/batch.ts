import { jittered } from '../../kernel/lifecycle';
import type { EventLog, LoggedEvent } from '../../platform/event-log/event-log';
import type { Attempt } from './attempt';
import type { DeliveryStore } from './delivery-store';
import type { BatchOutcome } from './settlement';
import type { Failure, Gap, Webhook } from './webhook';

export interface BatchOptions {
  readonly eventLog: Pick<EventLog, 'read' | 'latest' | 'oldest'>;
  readonly deliveries: Pick<DeliveryStore, 'due' | 'failed' | 'remove'>;
  /** Asked before each attempt: nothing goes to an address that was changed or removed. */
  readonly stands: (claimed: Webhook) => Promise<boolean>;
  readonly send: (webhook: Webhook, event: LoggedEvent, signal: AbortSignal) => Promise<Attempt>;
  /** Before the second attempt, the third, and so on. */
  readonly retryMs: readonly number[];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** Events that are sent at once; those of one user one after the other. */
const BATCH = 16;
/** Of them, repeated ones, where there are new ones too. */
const REPEATED_MAX = 8;
/** While nothing can be delivered, one event is tried after each pause. */
const PROBE = 1;
const PAUSE_MAX_MS = 3_600_000;
const PAUSE_SHARE = 0.1;

interface Item {
  readonly event: LoggedEvent;
  /** Before this one. */
  readonly attempts: number;
  readonly isNew: boolean;
}

/** The results of a batch. */
interface Tally {
  delivered: number;
  failed: number;
  failure: Failure | undefined;
  retryAfterMs: number;
  isGone: boolean;
  readonly done: Set<number>;
}

/**
 * Sends the next events to a webhook, the new ones and those that are due again, each once. A
 * failure becomes a delivery of its own, so that one event that is never accepted delays no other.
 */
export async function deliverBatch(
  webhook: Webhook,
  options: BatchOptions,
  signal: AbortSignal,
): Promise<BatchOutcome> {
  const { retryMs } = options;
  const isFailing = webhook.failures > 0;
  const fresh = await newItems(webhook, options, isFailing ? PROBE : BATCH);
  const isRoomForRepeated = !isFailing || fresh.items.length === 0;
  const repeated = isRoomForRepeated
    ? await repeatedItems(webhook, options, isFailing ? PROBE : REPEATED_MAX)
    : [];
  const tally: Tally = {
    ...{ delivered: 0, failed: 0, failure: undefined, retryAfterMs: 0, isGone: false },
    done: new Set(),
  };
  await Promise.all(
    bySubject([...repeated, ...fresh.items]).map((chain) =>
      sendInOrder(webhook, chain, options, tally, signal),
    ),
  );
  const firstOpen = fresh.items.find(({ event }) => !tally.done.has(event.sequence));
  const pauseMs = retryMs[Math.min(webhook.failures, retryMs.length - 1)] ?? PAUSE_MAX_MS;
  const { done: _, retryAfterMs, failure, ...counts } = tally;
  return {
    ...counts,
    ...(failure && { failure }),
    ...(fresh.gap && { gap: fresh.gap }),
    position: firstOpen === undefined ? fresh.upTo : firstOpen.event.sequence - 1,
    pauseMs: jittered(Math.min(PAUSE_MAX_MS, Math.max(pauseMs, retryAfterMs)), PAUSE_SHARE),
  };
}

/** The next events of its types, the end of this look, and the events that have expired. */
async function newItems(webhook: Webhook, { eventLog, now }: BatchOptions, limit: number) {
  const { position, types } = webhook;
  // Before the events: those that come between the two reads are left for the next batch.
  const latest = Math.max(position, await eventLog.latest());
  const events = await eventLog.read(position, {
    ...{ limit, upTo: latest },
    ...(types === null ? {} : { types }),
  });
  // Afterwards: old events are removed while the log is read.
  const oldest = await eventLog.oldest();
  const gap: Gap | undefined =
    position < oldest - 1 ? { at: new Date(now()), after: position, before: oldest } : undefined;
  const items = events.map((event): Item => ({ event, attempts: 0, isNew: true }));
  const upTo = events.length < limit ? latest : (events.at(-1)?.sequence ?? latest);
  return { items, upTo, gap };
}

async function repeatedItems(
  { _id }: Webhook,
  { eventLog, deliveries }: BatchOptions,
  limit: number,
): Promise<Item[]> {
  const items: Item[] = [];
  for (const { sequence, attempts } of await deliveries.due(_id, limit)) {
    const [event] = await eventLog.read(sequence - 1, { limit: 1, upTo: sequence });
    if (event !== undefined) items.push({ event, attempts, isNew: false });
    // The log no longer has it: nothing is left to send, and the list of deliveries shows that.
    else
      await deliveries.failed({ webhook: _id, sequence, failure: undefined, pauseMs: undefined });
  }
  return items;
}

function bySubject(items: readonly Item[]): Item[][] {
  const chains = new Map<string, Item[]>();
  for (const item of items) {
    const chain = chains.get(item.event.subject);
    if (chain === undefined) chains.set(item.event.subject, [item]);
    else chain.push(item);
  }
  return [...chains.values()];
}

/** One after the other. Behind one that failed, the others of the user wait as long as it does. */
async function sendInOrder(
  webhook: Webhook,
  chain: readonly Item[],
  options: BatchOptions,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  let behindMs: number | undefined;
  for (const item of chain) {
    const { sequence } = item.event;
    if (behindMs !== undefined)
      await options.deliveries.failed({
        ...{ webhook: webhook._id, sequence, failure: undefined, pauseMs: behindMs },
      });
    else {
      if (!(await options.stands(webhook))) return;
      const attempt = await options.send(webhook, item.event, signal);
      // An attempt that was cut short says nothing about the receiver.
      if (signal.aborted) return;
      tally.isGone ||= attempt.result === 'gone';
      if (tally.isGone) return;
      behindMs = await noteAttempt(webhook, item, attempt, options, tally);
    }
    tally.done.add(sequence);
  }
}

/** Resolves with how long the next ones of the user wait, if it failed. */
async function noteAttempt(
  { _id: webhook }: Webhook,
  { event: { sequence }, attempts, isNew }: Item,
  attempt: Attempt,
  { deliveries, retryMs, now }: BatchOptions,
  tally: Tally,
): Promise<number | undefined> {
  if (attempt.result !== 'failed') {
    if (!isNew) await deliveries.remove(webhook, sequence);
    tally.delivered += 1;
    return undefined;
  }
  const { reason, status, retryAfterSeconds = 0 } = attempt;
  const failure = { at: new Date(now()), reason, ...(status === undefined ? {} : { status }) };
  const pauseMs = pauseAfter(attempts, retryMs, retryAfterSeconds * 1000);
  await deliveries.failed({ webhook, sequence, failure, pauseMs });
  tally.failed += 1;
  tally.failure = failure;
  tally.retryAfterMs = Math.max(tally.retryAfterMs, retryAfterSeconds * 1000);
  return pauseMs ?? retryMs[0] ?? PAUSE_MAX_MS;
}

/** undefined: that was the last attempt. */
function pauseAfter(attempts: number, retryMs: readonly number[], retryAfterMs: number) {
  const pauseMs = retryMs[attempts];
  if (pauseMs === undefined) return undefined;
  // Never before the receiver wants it.
  return Math.max(jittered(pauseMs, PAUSE_SHARE), retryAfterMs);
}

import { readFileSync } from 'node:fs';

/** An event as the consumer wrote it down. */
export interface SeenEvent {
  readonly sequence: number;
  readonly type: string;
  readonly subject: string;
  readonly revision: number | undefined;
  readonly timeMs: number;
  readonly receivedMs: number;
}

export const readSeen = (file: string): SeenEvent[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [sequence, type = '', subject = '', revision, timeMs, receivedMs] = line.split(' ');
      return {
        ...{ sequence: Number(sequence), type, subject },
        revision: revision === '-' ? undefined : Number(revision),
        ...{ timeMs: Number(timeMs), receivedMs: Number(receivedMs) },
      };
    });

/** Webhooks come in any order, and some twice. */
export const inOrder = (events: readonly SeenEvent[]): SeenEvent[] =>
  [...new Map(events.map((event) => [event.sequence, event])).values()].sort(
    (a, b) => a.sequence - b.sequence,
  );

interface Mirrored {
  revision: number;
  isRemoved: boolean;
}

/** What the events say about each user, and how often one was not what had to come next. */
export function mirrorOf(events: readonly SeenEvent[]) {
  const users = new Map<string, Mirrored>();
  let [gaps, outOfOrder] = [0, 0];
  let last = 0;
  for (const { sequence, type, subject, revision } of events) {
    if (sequence !== last + 1) gaps += 1;
    last = sequence;
    const before = users.get(subject) ?? { revision: 0, isRemoved: false };
    const isNext = revision === undefined || revision === before.revision + 1;
    const isFirst = before.revision === 0;
    if (!isNext || before.isRemoved || isFirst !== (type === 'user.created')) outOfOrder += 1;
    users.set(subject, {
      revision: revision ?? before.revision,
      isRemoved: type === 'user.removed',
    });
  }
  return { users, gaps, outOfOrder };
}

export interface Findings {
  readonly lost: number;
  readonly phantom: number;
  readonly outOfOrder: number;
  readonly gaps: number;
}

/** Compares a mirror that was built from events alone with the users of the database. */
export function compare(
  events: readonly SeenEvent[],
  database: ReadonlyMap<string, number>,
  acknowledged: ReadonlyMap<string, number>,
): Findings {
  const { users, gaps, outOfOrder } = mirrorOf(events);
  let [lost, phantom] = [0, 0];
  for (const [id, revision] of database) {
    const mirrored = users.get(id);
    if (mirrored === undefined || mirrored.revision < revision) lost += 1;
    else if (mirrored.isRemoved || mirrored.revision > revision) phantom += 1;
  }
  for (const [id, { isRemoved }] of users) if (!isRemoved && !database.has(id)) lost += 1;
  for (const [id, count] of acknowledged) if ((users.get(id)?.revision ?? 0) < count) lost += 1;
  return { lost, phantom, outOfOrder, gaps };
}

/** Ms from the change to the consumer, of the events in this time. */
export function lagP99Ms(events: readonly SeenEvent[], fromMs: number): number {
  const lags = events
    .filter(({ timeMs }) => timeMs >= fromMs)
    .map(({ timeMs, receivedMs }) => receivedMs - timeMs)
    .sort((a, b) => a - b);
  return lags[Math.floor(lags.length * 0.99)] ?? Number.POSITIVE_INFINITY;
}

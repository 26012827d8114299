import type { OutboxSource, PendingOf } from '../outbox/outbox-source';
import type { EventLog, NewEvent } from './event-log';

/** Moves events from the documents whose writes left them to the log. */
export interface Mover {
  /** One round over all sources. Resolves with how many events were moved. */
  round(): Promise<number>;
}

/** Documents of one round, per source. */
export const BATCH = 100;

/**
 * Any process may move at any time: the log takes each event once, and those of one document in
 * their order. A process that dies between the two steps leaves events that are in the log
 * already; the next round only takes them out of their documents.
 */
export function createMover(
  log: EventLog,
  sources: readonly OutboxSource[],
  onMoved: (events: readonly NewEvent[]) => void = () => {},
): Mover {
  async function move(source: OutboxSource, batch: readonly PendingOf[]): Promise<number> {
    const events = batch.flatMap(({ subject, events }) =>
      events.map((event) => ({ ...event, subject })),
    );
    await log.append(events);
    onMoved(events);
    await source.moved(batch);
    return events.length;
  }

  return {
    async round() {
      let moved = 0;
      for (const source of sources) moved += await move(source, await source.pending(BATCH));
      return moved;
    },
  };
}

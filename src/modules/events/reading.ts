import { Problem } from '../../kernel/errors';
import type { EventLog, LoggedEvent } from '../../platform/event-log/event-log';
import { hasAllAfter } from '../../platform/event-log/has-all-after';

interface PageQuery {
  readonly limit: number;
  readonly types?: readonly string[] | undefined;
}

interface EventsAfter {
  /** At most `limit` of them. */
  readonly found: readonly LoggedEvent[];
  readonly hasMore: boolean;
  /** Up to here the reader has all events of its types. */
  readonly seen: number;
}

/**
 * The next events. undefined: the log does not have all of them. Old events are removed while it is
 * read, so it is asked for its oldest one afterwards: what was there then, was there before.
 */
export async function eventsAfter(
  eventLog: Pick<EventLog, 'latest' | 'oldest' | 'read'>,
  after: number,
  { limit, types }: PageQuery,
): Promise<EventsAfter | undefined> {
  // Before the events: those that come between the two reads are left for the next request.
  const upTo = Math.max(after, await eventLog.latest());
  if (upTo === after) return { found: [], hasMore: false, seen: after };
  const only = types === undefined ? {} : { types };
  const events = await eventLog.read(after, { limit: limit + 1, upTo, ...only });
  if (after < (await eventLog.oldest()) - 1) return undefined;
  const found = events.slice(0, limit);
  const hasMore = events.length > limit;
  return { found, hasMore, seen: hasMore ? (found.at(-1)?.sequence ?? after) : upTo };
}

/** One page of them; without `after` from the oldest event on. Throws 410 as `startOf` does. */
export async function pageAfter(
  eventLog: Pick<EventLog, 'latest' | 'oldest' | 'reached' | 'read'>,
  after: number | undefined,
  query: PageQuery,
): Promise<EventsAfter> {
  const found = await eventsAfter(eventLog, await startOf(eventLog, after), query);
  if (found !== undefined) return found;
  if (after !== undefined) throw expired();
  // The event that was the oldest has expired meanwhile.
  return pageAfter(eventLog, after, query);
}

const expired = () =>
  new Problem(410, 'events_expired', 'Gone', {
    detail:
      'The events after this sequence are not here. Read all users again, then the events from the oldest on.',
  });

/** Throws 410 where events after it are no longer kept, or the log is a restored one. */
export async function startOf(
  eventLog: Pick<EventLog, 'oldest' | 'reached'>,
  after: number | undefined,
): Promise<number> {
  if (after === undefined) return (await eventLog.oldest()) - 1;
  if (!(await hasAllAfter(eventLog, after))) throw expired();
  return after;
}

import { problems } from '../../kernel/errors';
import type { EventLog } from '../../platform/event-log/event-log';
import { type MayStill, type Route, route } from '../../platform/http/endpoint';
import { EVENT_STREAM_HEADERS } from '../../platform/http/live-streams';
import { NO_STORE } from '../../platform/http/no-store';
import { eventEndpoints, LIMIT, STREAM_MAX_SECONDS, viewOfEvent } from './contract';
import { pageAfter, startOf } from './reading';
import type { createEventStream } from './stream';

export interface EventRoutesDependencies {
  readonly eventLog: EventLog;
  /** The types that there are. */
  readonly types: readonly string[];
  readonly issuer: string;
  readonly stream: ReturnType<typeof createEventStream>;
  readonly mayStill: MayStill;
}

export function createEventRoutes(deps: EventRoutesDependencies): Route[] {
  const { eventLog, issuer, stream, mayStill } = deps;
  const endpoints = eventEndpoints(deps.types);
  return [
    route(endpoints.list, async ({ query: { after, type: types, limit = LIMIT } }) => {
      const { found, hasMore, seen } = await pageAfter(eventLog, after, { limit, types });
      const data = found.map((event) => viewOfEvent(issuer, event));
      const body = { data, next_after: seen, has_more: hasMore };
      return { status: 200, headers: NO_STORE, body };
    }),
    route(endpoints.stream, async ({ query: { after, type, ...query } }, req) => {
      const seen = sequenceIn(req.headers['last-event-id']);
      const from = await startOf(eventLog, seen ?? after);
      const request = {
        ...{ after: from, types: type, forSeconds: query.for_seconds ?? STREAM_MAX_SECONDS },
        isAllowed: () => mayStill(req, 'events:read'),
      };
      return {
        status: 200,
        headers: EVENT_STREAM_HEADERS,
        stream: (closed) => stream({ ...request, closed }),
      };
    }),
  ];
}

/** An empty one is none: so browsers reset it. Throws 400, and does not begin from the oldest. */
function sequenceIn(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header);
  throw problems.malformed(
    'invalid_last_event_id',
    'Last-Event-ID is not the id of an event of this stream.',
  );
}

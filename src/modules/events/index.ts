import type { Request } from 'express';
import { problems } from '../../kernel/errors';
import type { Closable } from '../../kernel/lifecycle';
import type { Permission } from '../../kernel/permissions';
import {
  EVENTS_COLLECTION,
  eventLogIndexes,
  type LoggedEvent,
} from '../../platform/event-log/event-log';
import { type Route, route } from '../../platform/http/endpoint';
import { EVENT_STREAM_HEADERS } from '../../platform/http/live-streams';
import { NO_STORE } from '../../platform/http/no-store';
import type { Module, ModuleStorage } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { eventEndpoints, LIMIT, STREAM_MAX_SECONDS, viewOfEvent } from './contract';
import { createEventExport } from './personal-data';
import { type PumpOptions, startPump } from './pump';
import { type EventsAfter, eventsAfter, expired, startOf } from './reading';
import { type RedisStream, startRedisStream } from './redis-stream';
import { createEventStream } from './stream';
import { createTail } from './tail';

export { measureMoves } from './metrics';

/** Events as JSON, as readers of the log get them. */
export const createRenderer = (issuer: string) => (event: LoggedEvent) =>
  JSON.stringify(viewOfEvent(issuer, event));
export { PUMP_LEASE_MS } from './pump';

export const eventsStorage: ModuleStorage = {
  indexes: () => [eventLogIndexes],
  queryShapes: (connection, { timeoutMs }) => [
    {
      name: 'events of a user',
      explain: () =>
        connection
          .collection(EVENTS_COLLECTION)
          .find({ subject: '652f1c3e9b1d4a0012ab34cd' }, { maxTimeMS: timeoutMs })
          .sort({ _id: -1 })
          .limit(1)
          .explain('queryPlanner'),
    },
    {
      name: 'an event by its id',
      explain: () =>
        connection
          .collection(EVENTS_COLLECTION)
          .find({ id: '6b08c3a1fd17d31180748f48' }, { maxTimeMS: timeoutMs })
          .explain('queryPlanner'),
    },
  ],
};

export interface EventsDependencies extends PumpOptions {
  /** The types that there are. */
  readonly types: readonly string[];
  readonly issuer: string;
  readonly streamsMax: number;
  readonly draining: () => boolean;
  readonly mayStill: (req: Request, permission: Permission) => Promise<boolean>;
  /** Events are published there too. */
  readonly redisStream: RedisStream | undefined;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
}

export interface Events extends Module<DomainEvents> {
  /** Moves events to the log, and publishes them, until the process closes. */
  start(): void;
}

type PageQuery = Parameters<typeof eventsAfter>[2];

/** Shows other services what happened to users, in one order, and without loss. */
export function createEvents(deps: EventsDependencies): Events {
  const { eventLog, types, issuer } = deps;
  const endpoints = eventEndpoints(types);
  const tail = createTail(eventLog);
  const stream = createEventStream({ ...deps, tail });

  async function page(after: number | undefined, query: PageQuery): Promise<EventsAfter> {
    const found = await eventsAfter(eventLog, await startOf(eventLog, after), query);
    if (found !== undefined) return found;
    if (after !== undefined) throw expired();
    // What was the oldest event is gone meanwhile.
    return page(after, query);
  }

  const routes: Route[] = [
    route(endpoints.list, async ({ query: { after, type: types, limit = LIMIT } }) => {
      const { found, hasMore, seen } = await page(after, { limit, types });
      const data = found.map((event) => viewOfEvent(issuer, event));
      const body = { data, next_after: seen, has_more: hasMore };
      return { status: 200, headers: NO_STORE, body };
    }),
    route(endpoints.stream, async ({ query: { after, type, ...query } }, req) => {
      const seen = sequenceIn(req.headers['last-event-id']);
      const from = await startOf(eventLog, seen ?? after);
      const request = {
        ...{ after: from, types: type, forSeconds: query.for_seconds ?? STREAM_MAX_SECONDS },
        isAllowed: () => deps.mayStill(req, 'events:read'),
      };
      return {
        status: 200,
        headers: EVENT_STREAM_HEADERS,
        stream: (closed) => stream({ ...request, closed }),
      };
    }),
  ];
  return {
    name: 'events',
    routes,
    personalData: createEventExport(eventLog),
    storage: eventsStorage,
    start() {
      deps.own('event pump', startPump(deps));
      const { redisStream } = deps;
      if (redisStream !== undefined)
        deps.own('event stream', startRedisStream({ ...deps, ...redisStream, tail }));
    },
  };
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

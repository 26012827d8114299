import type { Request } from 'express';
import { Problem } from '../../kernel/errors';
import type { Closable } from '../../kernel/lifecycle';
import type { Permission } from '../../kernel/permissions';
import {
  EVENTS_COLLECTION,
  type EventLog,
  eventLogIndexes,
  type LoggedEvent,
} from '../../platform/event-log/event-log';
import { type Route, route } from '../../platform/http/endpoint';
import { EVENT_STREAM_HEADERS } from '../../platform/http/live-streams';
import type { Module, ModuleStorage } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { eventEndpoints, LIMIT, STREAM_MAX_SECONDS, viewOfEvent } from './contract';
import { createEventExport } from './personal-data';
import { type PumpOptions, startPump } from './pump';
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

const NOT_STORED = { 'Cache-Control': 'no-store' } as const;

/** Shows other services what happened to users, in one order, and without loss. */
export function createEvents(deps: EventsDependencies): Events {
  const { eventLog, types, issuer } = deps;
  const endpoints = eventEndpoints(types);
  const tail = createTail(eventLog);
  const stream = createEventStream({ ...deps, tail });
  const routes: Route[] = [
    route(endpoints.list, async ({ query: { after: given, type, limit = LIMIT } }) => {
      const after = await startOf(eventLog, given);
      // Before the events: what comes between the two reads is left for the next request.
      const upTo = await eventLog.latest();
      const found = await eventLog.read(after, {
        limit: limit + 1,
        upTo,
        ...(type === undefined ? {} : { types: type }),
      });
      const page = found.slice(0, limit);
      const has_more = found.length > limit;
      const next_after = has_more ? (page.at(-1)?.sequence ?? after) : Math.max(after, upTo);
      const data = page.map((event) => viewOfEvent(issuer, event));
      return { status: 200, headers: NOT_STORED, body: { data, next_after, has_more } };
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

const sequenceIn = (header: string | string[] | undefined): number | undefined =>
  typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;

const expired = () =>
  new Problem(410, 'events_expired', 'Gone', {
    detail:
      'The events after this sequence are not here. Read all users again, then the events from the oldest on.',
  });

/** Throws 410 where events after it are no longer kept, or the log is a restored one. */
async function startOf(eventLog: EventLog, after: number | undefined): Promise<number> {
  const oldest = await eventLog.oldest();
  if (after === undefined) return oldest - 1;
  if (after < oldest - 1 || (after >= oldest && after > (await eventLog.reached())))
    throw expired();
  return after;
}

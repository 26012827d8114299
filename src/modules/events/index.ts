import type { Closable } from '../../kernel/lifecycle';
import type { LoggedEvent } from '../../platform/event-log/event-log';
import type { Module } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { viewOfEvent } from './contract';
import { createEventExport } from './personal-data';
import { type PumpOptions, startPump } from './pump';
import { type RedisStream, startRedisStream } from './redis-stream';
import { createEventRoutes, type EventRoutesDependencies } from './routes';
import { eventsStorage } from './storage';
import { createEventStream } from './stream';
import { createTail } from './tail';

export { measureMoves } from './metrics';
export { PUMP_LEASE_MS } from './pump';
export { eventsStorage } from './storage';

/** Events as JSON, as readers of the log get them. */
export const createRenderer = (issuer: string) => (event: LoggedEvent) =>
  JSON.stringify(viewOfEvent(issuer, event));

export interface EventsDependencies
  extends PumpOptions,
    Pick<EventRoutesDependencies, 'types' | 'issuer' | 'mayStill'> {
  readonly streamsMax: number;
  readonly draining: () => boolean;
  /** Events are published there too. */
  readonly redisStream: RedisStream | undefined;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
}

export interface Events extends Module<DomainEvents> {
  /** Moves events to the log, and publishes them, until the process closes. */
  start(): void;
}

/** Shows other services what happened to users, in one order, and without loss. */
export function createEvents(deps: EventsDependencies): Events {
  const { eventLog } = deps;
  const tail = createTail(eventLog);
  return {
    name: 'events',
    routes: createEventRoutes({ ...deps, stream: createEventStream({ ...deps, tail }) }),
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

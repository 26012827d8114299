import type { Logger } from './telemetry/logger';

/** Functions that are called with each event of a name. */
export type Subscribers<Events> = {
  readonly [Name in keyof Events]?: (event: Events[Name]) => void;
};

/**
 * Calls every subscriber before it returns. A subscriber that throws is logged: it breaks neither
 * the emitter nor the other subscribers.
 */
export type Emit<Events> = <Name extends keyof Events>(name: Name, event: Events[Name]) => void;

export interface EventBus<Events> {
  readonly emit: Emit<Events>;
  subscribe(subscribers: Subscribers<Events>): void;
}

/** Events within this process. No I/O: a subscriber that does I/O puts it into a queue. */
export function createEventBus<Events>(log: Logger): EventBus<Events> {
  const all: Subscribers<Events>[] = [];
  return {
    emit(name, event) {
      for (const subscribers of all) {
        try {
          subscribers[name]?.(event);
        } catch (error) {
          log.error({ err: error, event: name }, 'event subscriber failed');
        }
      }
    },
    subscribe(subscribers) {
      all.push(subscribers);
    },
  };
}

import { type Attributes, type Tracing, within } from '../telemetry/tracing';
import type { RedisConnection } from './connection';

/**
 * Spans of Redis commands. Only the name of a command is recorded, never its keys or values.
 * `server` says which server is asked, where that is known.
 */
export function tracedConnection(
  redis: RedisConnection,
  tracing: Tracing,
  server: Attributes = {},
): RedisConnection {
  const traced = <T>(operation: string, ask: () => Promise<T>): Promise<T> => {
    const attributes = { 'db.system.name': 'redis', 'db.operation.name': operation, ...server };
    const span = tracing.child(operation, attributes, 'client');
    return span === undefined ? ask() : within(tracing, span, ask);
  };
  return {
    ...redis,
    // A getter: the spread would read it once.
    get identity() {
      return redis.identity;
    },
    send: (key, args) => traced(String(args[0]), () => redis.send(key, args)),
    run: (script, keys, args) => traced('EVALSHA', () => redis.run(script, keys, args)),
  };
}

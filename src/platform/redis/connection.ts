import { ErrorReply } from 'redis';
import type { Closable } from '../../kernel/lifecycle';
import { type ConnectionHealthOptions, createConnectionHealth } from './connection-health';
import {
  type Deployment,
  type DeploymentEvents,
  MisdeliveredError,
  type RedisArgument,
} from './deployment';
import { createPendingCommands, type PendingCommandsOptions } from './pending-commands';
import type { Script } from './script';

interface RedisConnectionStatus {
  /** Commands that Redis has not answered, timed-out ones included. */
  readonly outstanding: number;
  readonly breakerOpen: boolean;
  readonly refused: number;
  readonly timeouts: number;
  /** Replies that belonged to another command. */
  readonly misdelivered: number;
}

/**
 * One worker's connection to Redis, with what a client library leaves out: deadlines, a bound on
 * unanswered commands, a circuit breaker.
 */
export interface RedisConnection extends Closable {
  start(): void;
  /** The data set behind the connection (Deployment.identify); undefined: do not use Redis now. */
  readonly identity: string | undefined;
  send(key: string, args: RedisArgument[]): Promise<unknown>;
  run(
    script: Script,
    keys: readonly [string, ...string[]],
    args: readonly RedisArgument[],
  ): Promise<unknown>;
  /**
   * Closes the connection and opens another. For a reply that belonged to another command: every
   * later reply may do so too.
   */
  reset(): void;
  /** Resolves once the identity is known, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void>;
  status(): RedisConnectionStatus;
}

export type RedisConnectionOptions = ConnectionHealthOptions &
  Pick<PendingCommandsOptions, 'queueMax'>;

export function createRedisConnection(
  connect: (events: DeploymentEvents) => Deployment,
  options: RedisConnectionOptions,
): RedisConnection {
  const health = createConnectionHealth(connect, options);
  const pending = createPendingCommands(health, options);
  let tags = 0;

  async function call(
    script: Script,
    key: string,
    rest: readonly RedisArgument[],
  ): Promise<unknown> {
    try {
      return await pending.send(key, ['EVALSHA', script.sha, script.keys, ...rest]);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      if (error.message.startsWith('NOSCRIPT'))
        return pending.send(key, ['EVAL', script.text, script.keys, ...rest]);
      if (script.isEssential) health.refusedWrite(error);
      throw error;
    }
  }

  return {
    start: health.start,
    get identity() {
      return health.identity;
    },
    send: pending.send,
    async run(script, keys, args) {
      tags += 1;
      const tag = String(tags);
      const reply = await call(script, keys[0], [...keys, ...args, tag]);
      if (Array.isArray(reply) && String(reply[0]) === tag) return reply[1];
      health.reset();
      throw new MisdeliveredError('the reply belongs to another command');
    },
    reset: health.reset,
    settled: health.settled,
    status: () => ({
      ...pending.status(),
      breakerOpen: health.identity === undefined,
      misdelivered: health.misdelivered,
    }),
    async close() {
      health.stop();
      pending.close();
      await health.deployment.close();
    },
  };
}

import { TimeoutError } from '../../kernel/lifecycle';
import { currentWork, type RequestWork } from '../telemetry/request-work';
import type { ConnectionHealth } from './connection-health';
import { createDeadlines, type Wait } from './deadlines';
import type { RedisArgument } from './deployment';

class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

export interface PendingCommandsOptions {
  readonly commandTimeoutMs: number;
  /** Most commands that may wait while Redis does not answer. */
  readonly queueMax: number;
  readonly now: () => number;
}

const SILENT_MS = 25;
const HARD_FACTOR = 20;

/** The commands that were sent and not answered: each has a deadline, all together a bound. */
export function createPendingCommands(
  health: ConnectionHealth,
  { commandTimeoutMs, queueMax, now }: PendingCommandsOptions,
) {
  const deadlines = createDeadlines(now);
  let outstanding = 0;
  let lastReplyAt = 0;
  let refused = 0;
  let timeouts = 0;

  /** The bound is generous while replies keep coming; once they do not, `queueMax` may wait. */
  function isFull(): boolean {
    if (outstanding < queueMax) return false;
    const oldest = deadlines.oldest();
    if (oldest === undefined || outstanding >= queueMax * HARD_FACTOR) return true;
    return now() - Math.max(lastReplyAt, oldest - commandTimeoutMs) > SILENT_MS;
  }

  function waitFor(
    sentIn: number,
    work: RequestWork | undefined,
    reject: (error: Error) => void,
  ): Wait {
    return {
      settled: false,
      deadline: now() + commandTimeoutMs,
      expire() {
        timeouts += 1;
        work?.end('redis');
        const error = new TimeoutError(`Redis did not answer within ${commandTimeoutMs} ms`);
        if (sentIn === health.epoch) health.timedOut(error);
        reject(error);
      },
    };
  }

  function send(key: string, args: RedisArgument[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (health.identity === undefined || isFull()) {
        refused += 1;
        const reason =
          health.identity === undefined
            ? 'Redis is not in use'
            : 'too many commands are waiting for Redis';
        reject(new UnavailableError(reason));
        return;
      }
      const sentIn = health.epoch;
      const work = currentWork();
      work?.begin('redis');
      const wait = waitFor(sentIn, work, reject);
      outstanding += 1;
      deadlines.add(wait);
      health.deployment.send(key, args).then(
        (reply) => {
          outstanding -= 1;
          lastReplyAt = now();
          if (wait.settled) return;
          wait.settled = true;
          work?.end('redis');
          health.answered();
          if (sentIn === health.epoch) resolve(reply);
          else reject(new UnavailableError('the connection to Redis changed meanwhile'));
        },
        (error: unknown) => {
          outstanding -= 1;
          if (wait.settled) return;
          wait.settled = true;
          work?.end('redis');
          reject(error);
        },
      );
    });
  }

  return {
    send,
    status: () => ({ outstanding, refused, timeouts }),
    close: () => deadlines.close(),
  };
}

import { ErrorReply } from 'redis';
import type { Logger } from '../telemetry/logger';

/** Lines about one outage. */
const REASONS_MAX = 10;

/** Logs why Redis is not in use, each reason once until it is in use again. */
export function createReasonLog(log: Logger) {
  /** Attempts to connect end now in one way, now in another. */
  const told = new Set<string>();
  return {
    warn(error: unknown): void {
      const text = error instanceof Error ? error.message || error.name : String(error);
      const event =
        error instanceof ErrorReply
          ? 'Redis refused a command that the cache needs'
          : 'Redis is unreachable';
      if (told.has(text) || told.size >= REASONS_MAX) return;
      told.add(text);
      log.warn({ err: error }, `${event}, reading from MongoDB`);
    },
    clear(): void {
      told.clear();
    },
  };
}

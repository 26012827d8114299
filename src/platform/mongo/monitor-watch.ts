import type { Connection } from 'mongoose';
import { backoffMs, type Closable } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';

/** Beyond the driver's own limit of a check. */
const GRACE_MS = 1000;
/** Attempts, of about a second each: a line every minute. */
const WARN_EVERY = 60;

type Client = ReturnType<Connection['getClient']>;

/**
 * Reopens the driver's client when its check of a server never ends. The driver (7.9) waits for the
 * `drain` of a socket that the server has just closed: no error follows, and the server would count
 * as unreachable until the process ends. It concerns servers that the driver polls: those without a
 * topologyVersion, as the embedded engine.
 *
 * Time is counted in ticks: after a pause of the event loop the driver has its time to read first.
 */
export function watchMonitor(client: Client, log: Logger, tickMs = 1000): Closable {
  const { connectTimeoutMS, heartbeatFrequencyMS } = client.options;
  const running = new Map<string, { awaited: boolean; waitedMs: number }>();
  const started = (event: { connectionId: string; awaited: boolean }) =>
    void running.set(event.connectionId, { awaited: event.awaited, waitedMs: 0 });
  const ended = (event: { connectionId: string }) => void running.delete(event.connectionId);
  client.on('serverHeartbeatStarted', started);
  client.on('serverHeartbeatSucceeded', ended);
  client.on('serverHeartbeatFailed', ended);
  client.on('serverClosed', ({ address }) => running.delete(address));

  let reopening: Promise<void> | undefined;
  let isClosed = false;

  async function reopen(): Promise<void> {
    running.clear();
    for (let attempt = 0; !isClosed; attempt += 1) {
      try {
        await client.close();
        await client.connect();
        log.info('MongoDB connections reopened');
        return;
      } catch (error) {
        if (attempt % WARN_EVERY === 0)
          log.warn({ err: error, attempt }, 'MongoDB connections not reopened');
        await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, 50, 1000)).unref());
      }
    }
  }

  const timer = setInterval(() => {
    if (reopening !== undefined) return;
    for (const [address, check] of running) {
      check.waitedMs += tickMs;
      const limitMs = connectTimeoutMS + (check.awaited ? heartbeatFrequencyMS : 0) + GRACE_MS;
      if (check.waitedMs <= limitMs) continue;
      log.warn({ address }, 'the check of the database never ended; its connections are reopened');
      reopening = reopen().finally(() => {
        reopening = undefined;
      });
      return;
    }
  }, tickMs);
  timer.unref();

  return {
    async close() {
      isClosed = true;
      clearInterval(timer);
      await reopening;
    },
  };
}

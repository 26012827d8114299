import { atMost, type Check, fault } from './check';

/** Of the server, its ports and the supervision of workers. */
export const processChecks: readonly Check[] = [
  ({ server }) =>
    atMost(
      'HEADERS_TIMEOUT_MS',
      server.headersTimeoutMs,
      'REQUEST_TIMEOUT_MS',
      server.requestTimeoutMs,
      'the headers are part of the request',
    ),
  ({ server }) =>
    atMost(
      'DRAIN_TIMEOUT_MS',
      server.drainTimeoutMs,
      'SHUTDOWN_DEADLINE_MS',
      server.shutdownDeadlineMs,
      'the drain is part of the shutdown',
    ),
  ({ server }) =>
    fault(
      server.opsPort !== 0 &&
        server.opsPort === server.port &&
        overlap(server.opsHost, server.host),
      'OPS_PORT',
      () => `must differ from PORT (${server.port}), or be 0 to disable metrics`,
    ),
  ({ cluster }) =>
    fault(
      cluster.stallMs < cluster.heartbeatMs * 4,
      'WORKER_STALL_MS',
      () =>
        `must be at least four times WORKER_HEARTBEAT_MS (${cluster.heartbeatMs}), or healthy workers count as unresponsive; it is ${cluster.stallMs}`,
    ),
  ({ cluster }) =>
    atMost(
      'RESTART_BACKOFF_BASE_MS',
      cluster.restartBaseMs,
      'RESTART_BACKOFF_MAX_MS',
      cluster.restartMaxMs,
      'the first backoff is the shortest',
    ),
];

const isWildcard = (host: string) => host === '0.0.0.0' || host === '::';
const overlap = (a: string, b: string) => {
  const [one, other] = [a, b].map((host) =>
    host === 'localhost' ? '127.0.0.1' : host.toLowerCase(),
  );
  return one === other || isWildcard(a) || isWildcard(b);
};

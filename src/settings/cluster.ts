import { integer, optional, setting, text } from './setting';

export const cluster = {
  readyTimeoutMs: setting(
    'WORKER_READY_TIMEOUT_MS',
    integer(1000, 900_000),
    '60000',
    'How long a new worker may take to become ready, in ms; longer than DB_CONNECT_WAIT_MS.',
  ),
  heartbeatMs: setting('WORKER_HEARTBEAT_MS', integer(50, 60_000), '500', "Time between a worker's heartbeats, in ms."),
  stallMs: setting(
    'WORKER_STALL_MS',
    integer(200, 600_000),
    '7000',
    'A worker silent for this long is killed; after half of it a successor is started, in ms.',
  ),
  heapLimitMb: setting(
    'WORKER_HEAP_LIMIT_MB',
    integer(64, 65_536),
    '512',
    'A worker whose JavaScript heap stays above this is replaced, successor first; V8 ends it at 1.5 times as much. In MiB.',
  ),
  stableMs: setting('WORKER_STABLE_MS', integer(100, 600_000), '5000', 'A worker that was ready for this long counts as healthy, in ms.'),
  restartBaseMs: setting('RESTART_BACKOFF_BASE_MS', integer(1, 60_000), '100', 'First pause after a worker died young, in ms; it doubles.'),
  restartMaxMs: setting(
    'RESTART_BACKOFF_MAX_MS',
    integer(10, 600_000),
    '5000',
    'Longest pause between two starts of dying workers, in ms.',
  ),
  crashBudget: setting(
    'CRASH_BUDGET',
    integer(1, 1000),
    '6',
    'Failed starts in a row, before any worker was ever ready, after which the service gives up.',
  ),
  acceptWaitMs: setting(
    'ACCEPT_WAIT_MS',
    integer(0, 60_000),
    '3000',
    'How long a new connection waits for a worker when none is ready, in ms; then it is answered with 503.',
  ),
  acceptBusyWaitMs: setting(
    'ACCEPT_BUSY_WAIT_MS',
    integer(0, 60_000),
    '500',
    'How long a new connection waits when workers are ready but all are too busy to take it, in ms; then it is answered with 503.',
  ),
  acceptQueueMax: setting(
    'ACCEPT_QUEUE_MAX',
    integer(1, 100_000),
    '1024',
    'Most connections waiting for a worker; more are answered with 503.',
  ),
  runtimeDir: setting(
    'RUNTIME_DIR',
    optional(text()),
    undefined,
    "Folder of the workers' private sockets; unset is one per user and ops port in the system's temporary folder.",
  ),
} as const;

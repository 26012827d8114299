import { socketFolder } from './folders';
import { integer, optional, setting } from './setting';

export const cluster = {
  readyTimeoutMs: setting(
    'WORKER_READY_TIMEOUT_MS',
    integer(1000, 900_000),
    '60000',
    'Longest time for a new worker to become ready, in ms; must exceed DB_CONNECT_WAIT_MS.',
  ),
  heartbeatMs: setting(
    'WORKER_HEARTBEAT_MS',
    integer(50, 60_000),
    '500',
    "Time between a worker's heartbeats, in ms.",
  ),
  stallMs: setting(
    'WORKER_STALL_MS',
    integer(200, 600_000),
    '7000',
    'A worker without a heartbeat for this long, in ms, is killed; its successor starts after half of this time.',
  ),
  heapLimitMb: setting(
    'WORKER_HEAP_LIMIT_MB',
    integer(64, 65_536),
    '512',
    'A worker whose JavaScript heap exceeds this size, in MiB, is recycled: its successor starts first. V8 aborts the worker at 1.5 times this size.',
  ),
  stableMs: setting(
    'WORKER_STABLE_MS',
    integer(100, 600_000),
    '5000',
    'Time, in ms, after which a ready worker counts as healthy.',
  ),
  restartBaseMs: setting(
    'RESTART_BACKOFF_BASE_MS',
    integer(1, 60_000),
    '100',
    'First backoff after a worker crashed soon after its start, in ms; it doubles each time.',
  ),
  restartMaxMs: setting(
    'RESTART_BACKOFF_MAX_MS',
    integer(10, 600_000),
    '5000',
    'Longest backoff between two starts of crashing workers, in ms.',
  ),
  crashBudget: setting(
    'CRASH_BUDGET',
    integer(1, 1000),
    '6',
    'Number of consecutive failed starts after which the service exits, if no worker was ever ready.',
  ),
  acceptWaitMs: setting(
    'ACCEPT_WAIT_MS',
    integer(0, 60_000),
    '3000',
    'How long a new connection waits for a worker when none is ready, in ms; then it gets 503.',
  ),
  acceptBusyWaitMs: setting(
    'ACCEPT_BUSY_WAIT_MS',
    integer(0, 60_000),
    '500',
    'How long a new connection waits when all ready workers are overloaded, in ms; then it gets 503.',
  ),
  acceptQueueMax: setting(
    'ACCEPT_QUEUE_MAX',
    integer(1, 100_000),
    '1024',
    'Maximum number of connections that wait for a worker; further connections get 503.',
  ),
  runtimeDir: setting(
    'RUNTIME_DIR',
    optional(socketFolder()),
    undefined,
    "Folder of the workers' private sockets: one that the service can make or write; where others may enter it, one inside it. Unset: a folder per user and address in the system's temporary folder.",
  ),
} as const;

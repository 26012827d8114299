/** The messages between a worker and its primary, on the IPC channel. */

/** A worker's heartbeat, sent every WORKER_HEARTBEAT_MS. */
export interface Beat {
  readonly type: 'beat';
  /** 99th percentile of the event loop's delay since the last beat, in ms. */
  readonly delayP99Ms: number;
  /** Event-loop utilisation since the last beat, 0 to 1. */
  readonly utilisation: number;
  readonly heapUsedMb: number;
  /** Resident memory; undefined where the process has no file descriptor left to ask for it. */
  readonly rssMb?: number | undefined;
  readonly connections: number;
}

export type WorkerMessage =
  | { readonly type: 'ready' }
  /**
   * A signal reached the worker: it asks to be replaced. The primary answers with `drain` once a
   * successor is ready.
   */
  | { readonly type: 'retire' }
  /** The worker met an error that it cannot survive, and drains already. */
  | { readonly type: 'draining' }
  /** A log line of level warn or above, for the ops page. */
  | { readonly type: 'warning'; readonly line: string }
  | Beat
  | { readonly type: 'synced'; readonly seq: number }
  /** Accepted or not: a draining worker refuses, and the primary still owns the connection. */
  | {
      readonly type: 'ack';
      readonly seq: number;
      readonly accepted: boolean;
      readonly connections: number;
    };

/** Messages of the primary. They arrive in the order of sending, connections included. */
export type PrimaryMessage =
  /** Comes with the socket itself. */
  | { readonly type: 'connection'; readonly seq: number }
  /**
   * Asks for `synced` with the same number: connections sent before it and not acknowledged by then
   * are lost.
   */
  | { readonly type: 'sync'; readonly seq: number }
  /** Readiness turns false; connections still come until `drain`. */
  | { readonly type: 'leaving' }
  /** The answer to `retire`: `drain` follows when a successor is ready, however long that takes. */
  | { readonly type: 'recycling' }
  | { readonly type: 'drain' }
  | { readonly type: 'workers'; readonly ready: number };

const WORKER_TYPES: ReadonlySet<unknown> = new Set([
  'ready',
  'retire',
  'draining',
  'warning',
  'beat',
  'ack',
  'synced',
]);
const PRIMARY_TYPES: ReadonlySet<unknown> = new Set([
  'connection',
  'sync',
  'leaving',
  'recycling',
  'drain',
  'workers',
]);

/** Other software also uses this channel (Node's cluster module, PM2): `type` tells ours apart. */
function typeOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'type' in message
    ? message.type
    : undefined;
}

export function isWorkerMessage(message: unknown): message is WorkerMessage {
  return WORKER_TYPES.has(typeOf(message));
}

export function isPrimaryMessage(message: unknown): message is PrimaryMessage {
  return PRIMARY_TYPES.has(typeOf(message));
}

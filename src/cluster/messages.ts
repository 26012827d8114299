/** What a worker and its primary say to each other over the IPC channel. */

/** A worker's condition, sent every WORKER_HEARTBEAT_MS. */
export interface Beat {
  readonly type: 'beat';
  /** 99th percentile of the event loop's delay since the last beat, in ms. */
  readonly delayP99Ms: number;
  /** Event-loop utilisation since the last beat, 0 to 1. */
  readonly utilisation: number;
  readonly heapUsedMb: number;
  readonly connections: number;
}

export type WorkerMessage =
  | { readonly type: 'ready' }
  /** A signal reached the worker: it asks to be replaced. The primary answers with `drain` once a successor is ready. */
  | { readonly type: 'retire' }
  /** The worker met an error that it cannot outlive, and drains already. */
  | { readonly type: 'draining' }
  | Beat
  | { readonly type: 'synced'; readonly seq: number }
  /** The connection was taken (or not, by a draining worker: then it still belongs to the primary). */
  | { readonly type: 'took'; readonly seq: number; readonly taken: boolean; readonly connections: number };

/** What the primary says. Messages arrive in the order in which they were sent, connections included. */
export type PrimaryMessage =
  /** Comes with the socket itself. */
  | { readonly type: 'connection'; readonly seq: number }
  /** Asks for `synced` with the same number: connections sent before it that were not taken by then are lost. */
  | { readonly type: 'sync'; readonly seq: number }
  /** Readiness turns false; connections still come until `drain`. */
  | { readonly type: 'leaving' }
  | { readonly type: 'drain' }
  | { readonly type: 'workers'; readonly ready: number };

const WORKER_TYPES: ReadonlySet<unknown> = new Set(['ready', 'retire', 'draining', 'beat', 'took', 'synced']);
const PRIMARY_TYPES: ReadonlySet<unknown> = new Set(['connection', 'sync', 'leaving', 'drain', 'workers']);

/** Other software also speaks on this channel (Node's cluster module, PM2): only `type` tells what is ours. */
function typeOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'type' in message ? message.type : undefined;
}

export function isWorkerMessage(message: unknown): message is WorkerMessage {
  return WORKER_TYPES.has(typeOf(message));
}

export function isPrimaryMessage(message: unknown): message is PrimaryMessage {
  return PRIMARY_TYPES.has(typeOf(message));
}

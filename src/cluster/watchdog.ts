import type { WorkerHandle } from './handle';

export interface WatchLimits {
  readonly heartbeatMs: number;
  /** Silence after which a worker is killed; half of it makes it suspect. */
  readonly stallMs: number;
  readonly readyTimeoutMs: number;
  readonly heapLimitMb: number;
}

export interface Finding {
  readonly action: 'kill' | 'suspect' | 'clear' | 'worn';
  readonly reason: string;
}

type Watched = Pick<WorkerHandle, 'state' | 'startedAtMs' | 'heardAtMs' | 'suspect' | 'worn' | 'lastBeat'>;

/**
 * What to do about one worker, if anything. Delay and utilisation of the event loop are not grounds for replacing a
 * worker: under overload all of them are busy, and killing them then would make an outage of a slow spell. Silence is.
 * A draining worker is left to its own deadline.
 */
export function inspect(worker: Watched, nowMs: number, limits: WatchLimits): Finding | undefined {
  if (worker.state === 'starting') {
    return nowMs - worker.startedAtMs > limits.readyTimeoutMs ? { action: 'kill', reason: 'not ready in time' } : undefined;
  }
  if (worker.state !== 'ready') return undefined;
  const silentMs = nowMs - worker.heardAtMs;
  if (silentMs > limits.stallMs) return { action: 'kill', reason: `silent for ${Math.round(silentMs)} ms` };
  if (silentMs > limits.stallMs / 2)
    return worker.suspect ? undefined : { action: 'suspect', reason: `silent for ${Math.round(silentMs)} ms` };
  if (worker.suspect) return { action: 'clear', reason: 'heard again' };
  const heapMb = worker.lastBeat?.heapUsedMb ?? 0;
  return heapMb > limits.heapLimitMb && !worker.worn ? { action: 'worn', reason: `heap of ${Math.round(heapMb)} MiB` } : undefined;
}

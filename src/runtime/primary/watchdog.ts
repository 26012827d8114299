import type { WorkerHandle } from './worker-handle';
import { isReady, isStarting, isUnresponsive } from './worker-state';

export interface WatchLimits {
  readonly heartbeatMs: number;
  /** Silence after which a worker is killed; after half of it, it counts as unresponsive. */
  readonly stallMs: number;
  readonly readyTimeoutMs: number;
  readonly heapLimitMb: number;
}

export interface Finding {
  readonly action: 'kill' | 'recycle' | 'silent' | 'heard';
  /** The log message. */
  readonly message: string;
  readonly silentMs?: number;
  readonly heapMb?: number;
}

type Watched = Pick<WorkerHandle, 'state' | 'startedAtMs' | 'heardAtMs' | 'isKilled' | 'lastBeat'>;

/**
 * The action that one worker needs, if any. Delay and utilisation of the event loop are not grounds
 * for replacing a worker: under overload all of them are busy, and killing them then would turn a
 * slow spell into an outage. Silence is. A draining worker is left to its own deadline.
 */
export function inspect(worker: Watched, nowMs: number, limits: WatchLimits): Finding | undefined {
  if (worker.isKilled) return undefined;
  if (isStarting(worker)) {
    return nowMs - worker.startedAtMs > limits.readyTimeoutMs
      ? { action: 'kill', message: 'worker not ready in time, killing' }
      : undefined;
  }
  if (!isReady(worker)) return undefined;
  const silentMs = Math.round(nowMs - worker.heardAtMs);
  if (silentMs > limits.stallMs)
    return { action: 'kill', message: 'worker unresponsive, killing', silentMs };
  if (silentMs > limits.stallMs / 2)
    return isUnresponsive(worker)
      ? undefined
      : { action: 'silent', message: 'worker unresponsive', silentMs };
  if (isUnresponsive(worker)) return { action: 'heard', message: 'worker responsive again' };
  const heapMb = Math.round(worker.lastBeat?.heapUsedMb ?? 0);
  return heapMb > limits.heapLimitMb && worker.state === 'ready'
    ? { action: 'recycle', message: 'worker heap limit exceeded, recycling', heapMb }
    : undefined;
}

export interface WatchdogOptions {
  readonly limits: WatchLimits;
  readonly now: () => number;
  readonly workers: () => readonly WorkerHandle[];
  readonly onFinding: (worker: WorkerHandle, finding: Finding) => void;
  /** After each round. */
  readonly onChecked: () => void;
}

/** Inspects all workers once per heartbeat. */
export function startWatchdog(options: WatchdogOptions): { close(): void } {
  const { limits, now, workers, onFinding, onChecked } = options;
  let lastCheckMs = now();

  function check(): void {
    const at = now();
    // This process itself was stopped or starved: silence of that time proves nothing. A worker
    // that was silent before stays so, or a stopped worker would count as heard again.
    const blindMs = at - lastCheckMs > limits.heartbeatMs * 4 ? at - lastCheckMs : 0;
    lastCheckMs = at;
    for (const worker of workers()) {
      worker.heardAtMs += blindMs;
      const finding = inspect(worker, at, limits);
      if (finding !== undefined) onFinding(worker, finding);
    }
    onChecked();
  }

  const timer = setInterval(check, limits.heartbeatMs);
  return { close: () => clearInterval(timer) };
}

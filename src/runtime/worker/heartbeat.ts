import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { WorkerMessage } from '../messages';

/** The histogram counts its own sampling interval as delay. */
const LOOP_RESOLUTION_MS = 20;
const MEBIBYTE = 1024 * 1024;

/** The delay of the event loop since it was last asked for. */
export function measureLoopDelay(): { takeP99Ms(): number; close(): void } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  return {
    takeP99Ms() {
      const p99Ms = Math.max(0, delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS);
      delay.reset();
      return p99Ms;
    },
    close: () => void delay.disable(),
  };
}

/** Sends a heartbeat to the primary every `everyMs`. */
export function startHeartbeat(
  everyMs: number,
  connections: () => number,
  send: (message: WorkerMessage) => void,
): { close(): void } {
  const delay = measureLoopDelay();
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const after = performance.eventLoopUtilization();
    send({
      type: 'beat',
      delayP99Ms: delay.takeP99Ms(),
      utilisation: performance.eventLoopUtilization(after, before).utilization,
      heapUsedMb: getHeapStatistics().used_heap_size / MEBIBYTE,
      rssMb: residentMb(),
      connections: connections(),
    });
    before = after;
  }, everyMs);
  return {
    close() {
      clearInterval(timer);
      delay.close();
    },
  };
}

/** It opens a file, and throws when the process has no file descriptor left. */
function residentMb(): number | undefined {
  try {
    return process.memoryUsage.rss() / MEBIBYTE;
  } catch {
    return undefined;
  }
}

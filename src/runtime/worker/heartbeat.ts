import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { WorkerMessage } from '../messages';

/** The histogram counts its own sampling interval as delay. */
export const LOOP_RESOLUTION_MS = 20;
const MEBIBYTE = 1024 * 1024;

/** Sends a heartbeat to the primary every `everyMs`. */
export function startHeartbeat(
  everyMs: number,
  connections: () => number,
  send: (message: WorkerMessage) => void,
): { close(): void } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const after = performance.eventLoopUtilization();
    send({
      type: 'beat',
      delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS),
      utilisation: performance.eventLoopUtilization(after, before).utilization,
      heapUsedMb: getHeapStatistics().used_heap_size / MEBIBYTE,
      rssMb: residentMb(),
      connections: connections(),
    });
    delay.reset();
    before = after;
  }, everyMs);
  return {
    close() {
      clearInterval(timer);
      delay.disable();
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

import type { Supervisor } from './supervisor';

/** Replaces the worker with that number. Returns why it is refused. */
export function drainWorker(supervisor: Supervisor, id: string): string | undefined {
  return /^\d+$/.test(id) && supervisor.replace(Number(id))
    ? undefined
    : `worker ${id} is not ready: only a ready worker is drained`;
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Contestant, JWT_SECRET, nameOf, type Target } from './contestants';
import type { CpuPlan } from './cpus';
import {
  cpuMs,
  freePort,
  type Program,
  type Running,
  rssMegabytes,
  start,
  tree,
  untilReady,
} from './processes';
import type { Runtime } from './runtimes';
import type { Stores } from './stores';

/** A contestant that serves. */
export interface Standing extends Target {
  readonly url: string;
  readonly pid: number;
  readonly opsPort: number;
  readonly startMs: number;
  readonly logFile: string;
  /** Resident memory of the fullest process that serves requests. */
  workerMegabytes(): number;
  /** Processor time that all its processes have used so far. */
  cpuMs(): number;
  stop(): Promise<void>;
}

export interface FieldOptions {
  readonly workers?: number;
  /** Keeps free the cores that this many workers would need. */
  readonly cpusOf?: number;
  readonly env?: Readonly<Record<string, string>>;
}

let started = 0;

export async function startStanding(
  stores: Stores,
  plan: CpuPlan,
  contestant: Contestant,
  runtime: Runtime,
  { workers = 1, env = {} }: FieldOptions = {},
): Promise<Standing> {
  const port = await freePort();
  const settings = {
    port,
    opsPort: await freePort(),
    mongodbUri: stores.mongodbUri,
    redisUrl: stores.redisUrl,
    jwtSecret: JWT_SECRET,
  };
  const launch = contestant.launch(settings, workers, env);
  started += 1;
  const program: Program = {
    name: `${nameOf(contestant)} on Node ${runtime.major}`,
    command: runtime.path,
    ...launch,
    cpus: plan.server,
    logFile: join(stores.folder, `${contestant.id}-${runtime.major}-${started}.log`),
  };
  const running: Running = start(program);
  const url = `http://127.0.0.1:${port}`;
  const startMs = await untilReady(program, running, () => isReady(url + contestant.readyPath));
  return {
    contestant,
    runtime,
    url,
    pid: running.pid,
    opsPort: settings.opsPort,
    startMs,
    logFile: program.logFile,
    cpuMs: () => (existsSync('/proc/self/stat') ? cpuMs(tree(running.pid)) : Number.NaN),
    workerMegabytes: () =>
      existsSync('/proc/self/status')
        ? Math.max(...tree(running.pid).slice(-workers).map(rssMegabytes))
        : Number.NaN,
    stop: () => running.stop(),
  };
}

/** Any answer but 503 will do: the peers know no readiness, and the bare server knows no paths. */
async function isReady(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
  await response.arrayBuffer();
  return response.status !== 503;
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KindTraffic } from '../scenarios';
import { createTimeline, type Timeline } from '../timeline';
import type { FromChild, LoadOrder } from './child';
import type { SILENT } from './recorder';
import { saveKinds } from './source';

export interface LoadPlan {
  readonly url: string;
  readonly kinds: readonly KindTraffic[];
  readonly seconds: number;
  readonly timeoutSeconds: number;
  /** Over all load processes. */
  readonly loop:
    | { readonly kind: 'closed'; readonly connections: number }
    | { readonly kind: 'open'; readonly rate: number };
}

/** Load processes, started once and used for every measurement. */
export interface Generator {
  /** Resolves at the end of the load. `onTick` is called as the timeline grows. */
  run(plan: LoadPlan, onTick?: (timeline: Timeline) => void): Promise<Timeline>;
  /** Ends the present load early. `SILENT`: the requests without an answer have failed. */
  stop(reason?: typeof SILENT): void;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 2000;

export async function startGenerator(processes: number): Promise<Generator> {
  const folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
  const children = Array.from({ length: processes }, startChild);
  await Promise.all(children.map((child) => until(child, (message) => 'ready' in message)));
  let runs = 0;
  return {
    async run({ kinds, loop, ...plan }, onTick = () => {}) {
      const file = join(folder, `traffic-${runs}.json`);
      runs += 1;
      saveKinds(file, kinds);
      const timeline = createTimeline(processes);
      const loads = children.map(async (child, index) => {
        const stripe = { index, count: processes };
        const order: LoadOrder = { ...plan, file, stripe, loop: shareOf(loop, index, processes) };
        const ended = until(child, (message) => {
          if ('tick' in message) {
            timeline.add(message.tick);
            onTick(timeline);
          }
          return 'done' in message;
        });
        child.send(order);
        await ended;
      });
      await Promise.all(loads).finally(() => rmSync(file, { force: true }));
      return timeline;
    },
    stop(reason) {
      for (const child of children) if (child.connected) child.send(reason ?? 'stop');
    },
    async close() {
      await Promise.all(children.map(endChild));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function shareOf(loop: LoadPlan['loop'], index: number, count: number): LoadOrder['loop'] {
  if (loop.kind === 'open')
    return {
      ...{ kind: 'open', rate: loop.rate / count },
      maxConnections: Math.max(1, Math.floor(MAX_CONNECTIONS / count)),
    };
  const { connections } = loop;
  const rest = index < connections % count ? 1 : 0;
  return { kind: 'closed', connections: Math.max(1, Math.floor(connections / count) + rest) };
}

function startChild(): ChildProcess {
  const child = spawn(process.execPath, [join(__dirname, 'child.js')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  return child;
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.disconnect();
  await ended;
}

/**
 * Resolves with the first message that `isLast`; rejects when the process reports a fault or ends.
 */
function until(child: ChildProcess, isLast: (message: FromChild) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (error?: Error) => {
      child.off('message', heard);
      child.off('exit', gone);
      if (error === undefined) resolve();
      else reject(error);
    };
    const heard = (message: FromChild) => {
      if ('error' in message) leave(new Error(message.error));
      else if (isLast(message)) leave();
    };
    const gone = () => leave(new Error('a load process ended'));
    child.on('message', heard);
    child.on('exit', gone);
  });
}

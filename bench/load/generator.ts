import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onCpus } from '../cpus';
import type { LoadSpec } from './child';
import type { ClosedResult, ClosedSpec } from './closed';
import { merge } from './histogram';
import type { OpenResult, OpenSpec } from './open';

/** The load: one process per core of its own, all started once and used for every measurement. */
export interface Generator {
  closed(spec: Omit<ClosedSpec, 'kind'>): Promise<ClosedResult>;
  open(spec: Omit<OpenSpec, 'kind'>): Promise<OpenResult>;
  close(): Promise<void>;
}

export async function startGenerator(cpus: readonly number[]): Promise<Generator> {
  const children = await Promise.all(
    cpus.map((cpu, index) => startChild(cpu, { index, count: cpus.length })),
  );

  const all = <T>(spec: LoadSpec) =>
    Promise.all(
      children.map(async (child) => {
        const reply = answer<T>(child);
        child.send(spec);
        return await reply;
      }),
    );

  return {
    async closed(spec) {
      const parts = await all<ClosedResult>({ ...spec, kind: 'closed' });
      const perSecond = parts.reduce((sum, part) => sum + part.perSecond, 0);
      return { perSecond, ...common(parts) };
    },
    async open(spec) {
      const parts = await all<OpenResult>({ ...spec, kind: 'open' });
      const [latency, late] = [
        merge(parts.map((part) => part.latency)),
        merge(parts.map((part) => part.late)),
      ];
      return { latency, late, ...common(parts) };
    },
    async close() {
      await Promise.all(
        children.map(async (child) => {
          const gone = once(child, 'exit');
          child.disconnect();
          await gone;
        }),
      );
    },
  };
}

async function startChild(
  cpu: number,
  stripe: { index: number; count: number },
): Promise<ChildProcess> {
  const { command, args } = onCpus([cpu], process.execPath, [
    join(__dirname, 'child.js'),
    JSON.stringify(stripe),
  ]);
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await answer<string>(child);
  return child;
}

async function answer<T>(child: ChildProcess): Promise<T> {
  const gone = new AbortController();
  const left = once(child, 'exit', { signal: gone.signal }).then(() => {
    throw new Error('a load process has ended');
  });
  left.catch(() => {});
  try {
    const [message] = (await Promise.race([
      once(child, 'message', { signal: gone.signal }),
      left,
    ])) as [{ result: T; error?: string }];
    if (message.error !== undefined) throw new Error(message.error);
    return message.result;
  } finally {
    gone.abort();
  }
}

function common(parts: readonly { statuses: Readonly<Record<string, number>>; errors: number }[]) {
  const statuses: Record<string, number> = {};
  for (const part of parts) {
    for (const [status, count] of Object.entries(part.statuses))
      statuses[status] = (statuses[status] ?? 0) + count;
  }
  return { statuses, errors: parts.reduce((sum, part) => sum + part.errors, 0) };
}

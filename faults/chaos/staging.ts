import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { pause } from '../process-kit';
import type { ChaosOptions } from './options';

/** The target must not be disturbed. */
export class RefusedError extends Error {}

interface Document {
  readonly servers?: readonly { readonly description?: string }[];
}

/** Refuses a production target, and one that does not say what it is. */
export async function refuseProduction(target: string): Promise<void> {
  const response = await fetch(`${target}/openapi.json`, { signal: AbortSignal.timeout(5000) });
  const document = response.ok ? ((await response.json()) as Document) : {};
  const description = document.servers?.[0]?.description;
  if (description === undefined)
    throw new RefusedError(`${target} does not say that it is no production: /openapi.json`);
  if (/production/i.test(description))
    throw new RefusedError(`${target} is production (its NODE_ENV). It is left alone.`);
}

/** Ms until the target is ready; undefined: not within `timeoutMs`. */
export async function readyWithin(target: string, timeoutMs: number): Promise<number | undefined> {
  const from = performance.now();
  while (performance.now() - from < timeoutMs) {
    const isReady = await fetch(`${target}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (isReady) return Math.round(performance.now() - from);
    await pause(50);
  }
  return undefined;
}

/** Of the host that answers; 0: it does not say. */
export const readyWorkers = (target: string): Promise<number> =>
  fetch(`${target}/health`, { signal: AbortSignal.timeout(2000) })
    .then((response) => response.json() as Promise<{ readonly workers?: number }>)
    .then(({ workers = 0 }) => workers)
    .catch(() => 0);

/** An action of the ops port. */
export async function act(
  { url, token }: NonNullable<ChaosOptions['ops']>,
  action: string,
  value = '',
): Promise<void> {
  const query = new URLSearchParams({ action, value });
  const response = await fetch(new URL(`/ops/act?${query}`, url), {
    method: 'POST',
    headers: { 'x-ops-token': token },
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok)
    throw new Error(`the ops port answered ${response.status}: ${await response.text()}`);
}

/** The ids of the workers, as the ops port tells them. */
export async function workerIds(ops: NonNullable<ChaosOptions['ops']>): Promise<number[]> {
  const stop = AbortSignal.timeout(5000);
  const response = await fetch(new URL('/ops/events', ops.url), { signal: stop });
  let seen = '';
  for await (const part of response.body ?? []) {
    seen += Buffer.from(part).toString();
    const found = /event: fleet\ndata: (.*)\n\n/.exec(seen)?.[1];
    if (found === undefined) continue;
    const { workers } = JSON.parse(found) as { workers: { id: number; state: string }[] };
    return workers.filter(({ state }) => state === 'ready').map(({ id }) => id);
  }
  throw new Error('the ops port told of no workers');
}

const commandOf = (pid: number): string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
};

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

/** The absolute path of the program: `npm start` names it by a relative one, workers do not. */
function programOf(pid: number): string | undefined {
  const word = commandOf(pid).find((one) => one.endsWith('.js'));
  try {
    return word === undefined ? undefined : resolve(readlinkSync(`/proc/${pid}/cwd`), word);
  } catch {
    // It has just ended.
    return undefined;
  }
}

/** The children of the primary that run the same program: its workers, not its database. */
export function workersOf(primaryPid: number): number[] {
  const program = programOf(primaryPid);
  if (program === undefined) throw new RefusedError(`process ${primaryPid} runs no service`);
  const children = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1 && parentOf(pid) === primaryPid);
  return children.filter((pid) => programOf(pid) === program);
}

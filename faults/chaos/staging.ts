import { setTimeout as delay } from 'node:timers/promises';
import type { ChaosOptions } from './options';

/** Rejects when the run ends before. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  delay(ms, undefined, { signal });

/** Ms until the target is ready; undefined: not within `timeoutMs`. */
export async function readyWithin(
  target: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const from = performance.now();
  while (performance.now() - from < timeoutMs) {
    const isReady = await fetch(`${target}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (isReady) return Math.round(performance.now() - from);
    await pause(50, signal);
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

/** What the ops port tells of the primary behind it. */
export interface OpsFleet {
  /** Its NODE_ENV; undefined: it does not say. */
  readonly environment?: string;
  /** Its name, which its workers say as well (/health). */
  readonly instance?: string;
  readonly fleet: {
    readonly workers: readonly { readonly id: number; readonly state: string }[];
  } | null;
}

export async function opsFleet({ url }: NonNullable<ChaosOptions['ops']>): Promise<OpsFleet> {
  const stop = AbortSignal.timeout(5000);
  const response = await fetch(new URL('/ops/events', url), { signal: stop });
  let seen = '';
  for await (const part of response.body ?? []) {
    seen += Buffer.from(part).toString();
    const found = /event: start\ndata: (.*)\n\n/.exec(seen)?.[1];
    if (found !== undefined) return JSON.parse(found) as OpsFleet;
  }
  throw new Error('the ops port told of no workers');
}

/** The ids of the workers that are ready, as the ops port tells them. */
export async function workerIds(ops: NonNullable<ChaosOptions['ops']>): Promise<number[]> {
  const { fleet } = await opsFleet(ops);
  const ready = (fleet?.workers ?? []).filter(({ state }) => state === 'ready');
  return ready.map(({ id }) => id);
}

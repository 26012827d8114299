import { RefusedError } from '../../dev/staging';
import type { ChaosOptions } from './options';
import { instancesOf, refuseProductionProcess } from './process';
import { opsFleet, pause } from './staging';

const LOOKS = 20;
/** On connections of their own: they reach several hosts. */
const AT_ONCE = 8;

/** The primary whose worker answers; undefined: the target does not say. */
async function instanceOf(target: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${target}/health`, { signal: AbortSignal.timeout(2000) });
    const { instance } = (await answer.json()) as { readonly instance?: unknown };
    return typeof instance === 'string' ? instance : undefined;
  } catch {
    return undefined;
  }
}

/** Refuses where no answer of the target is by a worker of one of these primaries. */
async function refuseOthers(
  target: string,
  signal: AbortSignal,
  of: string,
  instances: readonly (string | undefined)[],
): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const seen = await Promise.all(Array.from({ length: AT_ONCE }, () => instanceOf(target)));
    if (seen.some((one) => one !== undefined && instances.includes(one))) return;
    await pause(100, signal);
  }
  throw new RefusedError(
    `no answer of ${target} (/health) is by a worker of ${of}: it is another service. It is left alone.`,
  );
}

/**
 * Refuses what would disturb another service than the target: a process or an ops port of
 * production, or of a primary whose workers the target does not answer by.
 */
export async function refuseForeign(
  { target, ops, primaryPid }: ChaosOptions,
  signal: AbortSignal,
): Promise<void> {
  if (primaryPid !== undefined) {
    refuseProductionProcess(primaryPid);
    await refuseOthers(target, signal, `process ${primaryPid}`, instancesOf(primaryPid));
  }
  if (ops === undefined) return;
  const { environment, instance } = await opsFleet(ops);
  if (environment === undefined)
    throw new RefusedError(`${ops.url} does not say that it is no production: /ops/events`);
  if (environment === 'production')
    throw new RefusedError(`${ops.url} is of production (its NODE_ENV). It is left alone.`);
  await refuseOthers(target, signal, `the ops port ${ops.url}`, [instance]);
}

import { isLoopback } from '../../src/kernel/config/urls';
import { refuseProduction } from '../staging';
import { type Minted, mintSessions } from './data/mint';
import { seededCount } from './data/seed';
import type { Deployment } from './deployment';

/** Throws unless the target serves, and is no production. */
export async function assertReady(target: string): Promise<void> {
  const answer = await fetch(`${target}/readyz`, { signal: AbortSignal.timeout(5000) }).catch(
    (error: unknown) => {
      throw new Error(`${target} cannot be reached: ${reasonOf(error)}`);
    },
  );
  await answer.arrayBuffer();
  if (answer.status !== 200)
    throw new Error(`${target}/readyz answered ${answer.status}, not 200.`);
  await refuseProduction(target);
}

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message || String(cause) : String(cause);
};

export const isHere = (target: string): boolean => isLoopback(new URL(target).hostname);

/** Sessions of the first seeded users, checked with one request. */
export async function openSessions(
  { config, database, log, where }: Deployment,
  { target, users }: { readonly target: string; readonly users: number },
  durationSeconds: number,
): Promise<Minted> {
  const seeded = await seededCount(database.connection);
  if (seeded === 0)
    throw new Error(`No seeded users in ${where}: npm run loadtest -- seed --users 10000`);
  const count = Math.min(users, seeded);
  const minted = await mintSessions({ config, database, log, count, durationSeconds });
  try {
    await assertAccepted(target, minted, where);
    return minted;
  } catch (error) {
    await minted.remove();
    throw error;
  }
}

async function assertAccepted(target: string, { users }: Minted, where: string): Promise<void> {
  const headers = { Authorization: `Bearer ${users[0]?.accessToken}` };
  const url = `${target}/api/auth/profile`;
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(10_000) });
  const body = await answer.text();
  if (answer.status === 200) return;
  throw new Error(
    `The target answered ${answer.status} to a token that was signed by these settings (${where}): it has another key, issuer (PUBLIC_URL, TOKEN_ISSUER), audience or database.\n${body.slice(0, 300)}`,
  );
}

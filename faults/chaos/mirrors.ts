import { setTimeout as delay } from 'node:timers/promises';
import { registerUser, USERS_PASSWORD } from '../users';

/** A user, and what is known of its name: `w1`, `w2`, … of which each write sets the next. */
export interface Mirror {
  readonly email: string;
  /** Undefined: the answer to its registration has not come. It may exist all the same. */
  access_token: string | undefined;
  acknowledged: number;
  sent: number;
}

const USERS = 10;
const ANSWER_MS = 5000;
/** For all users together: a target that was disturbed needs a moment. */
const REMOVAL_MS = 60_000;
const AGAIN_MS = 250;

export const bearer = ({ access_token }: Mirror) => ({ authorization: `Bearer ${access_token}` });

/** Adds each user to `mirrors` before it is registered, so that none is forgotten. */
export async function createMirrors(
  target: string,
  mirrors: Mirror[],
  signal: AbortSignal,
): Promise<void> {
  for (let n = 0; n < USERS; n += 1) {
    signal.throwIfAborted();
    const email = `chaos-${process.hrtime.bigint()}@example.org`;
    const mirror: Mirror = { email, access_token: undefined, acknowledged: 0, sent: 0 };
    mirrors.push(mirror);
    mirror.access_token = (await registerUser(target, 'w0', email)).access_token;
  }
}

/** All scenarios together may last longer than a token. */
export async function renewMirrors(target: string, mirrors: readonly Mirror[]): Promise<void> {
  for (const mirror of mirrors) await signIn(target, mirror);
}

/** Removes the users; throws with the addresses of those that are left. */
export async function removeMirrors(target: string, mirrors: readonly Mirror[]): Promise<void> {
  const untilMs = performance.now() + REMOVAL_MS;
  const left: string[] = [];
  for (const mirror of mirrors)
    if (!(await isRemoved(target, mirror, untilMs))) left.push(mirror.email);
  if (left.length > 0)
    throw new Error(`these users are left at the target, remove them: ${left.join(', ')}`);
}

/** Tries again until `untilMs`, at least once. */
async function isRemoved(target: string, mirror: Mirror, untilMs: number): Promise<boolean> {
  for (;;) {
    const status = mirror.access_token === undefined ? 401 : await remove(target, mirror);
    if (status === 204) return true;
    // The token has expired, or the login is too old for this.
    if (status === 401 && (await signIn(target, mirror)) === 'no such user') return true;
    if (performance.now() >= untilMs) return false;
    await delay(AGAIN_MS);
  }
}

const remove = (target: string, mirror: Mirror): Promise<number | undefined> =>
  fetch(`${target}/api/users/me`, {
    method: 'DELETE',
    headers: bearer(mirror),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).then(
    ({ status }) => status,
    () => undefined,
  );

async function signIn(target: string, mirror: Mirror): Promise<'no such user' | undefined> {
  const answer = await fetch(`${target}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: mirror.email, password: USERS_PASSWORD }),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch(() => undefined);
  if (answer?.status === 401) return 'no such user';
  if (answer?.status !== 200) return undefined;
  const body = (await answer.json()) as { readonly access_token?: string };
  mirror.access_token = body.access_token;
  return undefined;
}

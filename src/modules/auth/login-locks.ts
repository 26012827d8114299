import { LOGIN_WINDOW_MINUTES as minutes } from '../../kernel/config/login';
import { sha256 } from '../../kernel/crypto/digest';
import type { Counters } from '../../platform/counters/counters';

const MINUTE_MS = 60_000;

/** Within which failures count together. Those of factors count as the current password's. */
export const WINDOW_MS = {
  login: minutes.account * MINUTE_MS,
  confirm: minutes.account * MINUTE_MS,
  device: minutes.device * MINUTE_MS,
  network: minutes.network * MINUTE_MS,
  day: 1440 * MINUTE_MS,
} as const;

/** The stored hash has a random salt: the key does not reveal the address. */
export const keyOf = (by: 'login' | 'confirm' | 'device', account: string, passwordHash: string) =>
  `login:${by}:${sha256(`${account}\n${passwordHash}`).slice(0, 22)}`;

/** Of one kind of factor, or of all together that are not alone. */
export const factorKey = (account: string, kind = 'all') =>
  `login:factor:${sha256(`${account}\n${kind}`).slice(0, 22)}`;

/** Stands where the counters of passwords have the hash: mailed codes have counts of their own. */
export const MAILED_CODE = 'sign-in-code';

export interface LockedAccount {
  readonly id: string;
  /** Folded. */
  readonly email: string;
  readonly passwordHash: string;
  /** Its known devices. */
  readonly devices: readonly string[];
  /** The kinds of factors whose counts are reset. */
  readonly factorKinds: readonly string[];
}

type CounterParts = Parameters<typeof keyOf>;

/** Keys of one batch: the commands of a worker that wait for Redis are of a bounded number. */
const AT_ONCE = 50;

async function reset(counters: Counters, parts: readonly CounterParts[]): Promise<void> {
  for (let from = 0; from < parts.length; from += AT_ONCE) {
    const some = parts.slice(from, from + AT_ONCE);
    const keys = some.map((one) => keyOf(...one));
    // Of a device and of an account, the windows of both: most keys are those of devices.
    const windows = new Set([...some.map(([by]) => WINDOW_MS[by]), WINDOW_MS.day]);
    await Promise.all([...windows].map((windowMs) => counters.reset(keys, windowMs)));
  }
}

const ofDevices = (devices: readonly string[], tried: string) =>
  devices.map((device): CounterParts => ['device', device, tried]);

/** Resets the counts of wrong mailed codes. For an owner who has proven to read the mailbox. */
export const liftMailedCodeLocks = (
  counters: Counters,
  { id, devices }: Pick<LockedAccount, 'id' | 'devices'>,
): Promise<void> =>
  reset(counters, [['login', id, MAILED_CODE], ...ofDevices(devices, MAILED_CODE)]);

/** Resets all failure counts of an account. For operators; a new password has counts of its own. */
export async function liftLocks(
  counters: Counters,
  { id, email, passwordHash, devices, factorKinds }: LockedAccount,
): Promise<void> {
  await reset(counters, [
    ['login', email, passwordHash],
    ['confirm', id, passwordHash],
    ...ofDevices(devices, passwordHash),
  ]);
  await liftMailedCodeLocks(counters, { id, devices });
  const keys = [undefined, ...factorKinds].map((kind) => factorKey(id, kind));
  await Promise.all(
    [WINDOW_MS.confirm, WINDOW_MS.day].map((windowMs) => counters.reset(keys, windowMs)),
  );
}

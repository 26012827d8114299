import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../../kernel/config/config';
import type { ClientDigest } from '../../kernel/crypto/client-digest';
import type { Problem } from '../../kernel/errors';
import { backoffMs } from '../../kernel/lifecycle';
import type { AttemptCounters, AttemptLimit, Reservation } from '../../platform/counters/counters';
import type { ClientInfo } from '../../platform/http/client-info';
import { factorKey, keyOf, WINDOW_MS } from './login-locks';
import { hashQueueFull, tooManyAttempts } from './problems';

/** A client's guess at a password. */
export interface PasswordAttempt {
  /**
   * Which failures count together. `login`: by e-mail address, whether or not it has an account.
   * `confirm`: with an access token of the account. `device`: from a known device, so that
   * strangers cannot use up the attempts of the owner.
   */
  readonly by: 'login' | 'confirm' | 'device';
  /**
   * The folded address (`login`), the id of the account (`confirm`) or of the device (`device`).
   */
  readonly account: string;
  /** The stored hash. Failures count per password: a new password starts with none. */
  readonly passwordHash: string | undefined;
  readonly client: ClientInfo;
}

/** A client's guess at a code. Each kind of factor has counts of its own, over all sign-ins. */
interface FactorAttempt {
  readonly by: 'factor';
  /** The id of the account. */
  readonly account: string;
  readonly kind: string;
  /** Its codes cannot be found by trying: guesses at those of other kinds do not lock it. */
  readonly isAlone?: true;
  readonly client: ClientInfo;
}

type Attempt = PasswordAttempt | FactorAttempt;

/** Call it right before the password or code is checked. */
type Turn = <T>(check: () => Promise<T>) => Promise<T>;

interface Verdict {
  readonly isRight: boolean;
  /** Set when the account is locked: the answer, whether or not the password or code is right. */
  readonly refusal: Problem | undefined;
}

export interface LoginGuard {
  /** Throws 429 when the client's network is locked. Counts nothing and hashes nothing. */
  enter(client: ClientInfo): Promise<void>;
  /**
   * Counts a failure only when `work` checks the password and finds it wrong, not when `work`
   * throws or resolves with true. Each attempt first reserves a failure, so that concurrent
   * attempts cannot check more passwords than the limit allows. Throws 503 when too many attempts
   * are in progress.
   *
   * Under a lock a password is checked all the same, so that the time of the answer tells nothing.
   * The code of a factor is not: to check it uses it up, or adds the factor.
   */
  guard(attempt: Attempt, work: (turn: Turn) => Promise<boolean>): Promise<Verdict>;
}

export interface LoginGuardOptions {
  readonly counters: AttemptCounters;
  readonly settings: Config['login'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly clientDigest: ClientDigest;
  /** How long an attempt waits for others in progress. */
  readonly waitMs?: number;
}

const WAIT_MS = 5000;

const spentOf = (reservations: readonly Reservation[]) =>
  reservations.find(({ state }) => state === 'spent');

/** All remaining failures are reserved by attempts in progress: wait until they have ended. */
class BusyError extends Error {}

/** A factor is locked. */
class SpentError extends Error {
  readonly resetsAtMs: number;
  constructor(resetsAtMs: number) {
    super();
    this.resetsAtMs = resetsAtMs;
  }
}

export function createLoginGuard({
  counters,
  settings,
  now,
  clientDigest,
  waitMs = WAIT_MS,
}: LoginGuardOptions): LoginGuard {
  const networkLimit = ({ network }: ClientInfo): AttemptLimit => ({
    key: `login:network:${clientDigest(network)}`,
    limit: settings.networkAttempts,
    windowMs: WINDOW_MS.network,
  });

  function factorLimits({ account, kind, isAlone, client }: FactorAttempt): AttemptLimit[] {
    const key = factorKey(account, kind);
    const ofDay = { limit: settings.accountAttemptsPerDay, windowMs: WINDOW_MS.day };
    return [
      networkLimit(client),
      { key, limit: settings.accountAttempts, windowMs: WINDOW_MS.confirm },
      { key, ...ofDay },
      ...(isAlone === true ? [] : [{ key: factorKey(account), ...ofDay }]),
    ];
  }

  function limitsOf(attempt: Attempt): AttemptLimit[] {
    if (attempt.by === 'factor') return factorLimits(attempt);
    const { by, account, passwordHash, client } = attempt;
    const key =
      passwordHash === undefined
        ? `login:nobody:${clientDigest(account)}`
        : keyOf(by, account, passwordHash);
    const limit = by === 'device' ? settings.deviceAttempts : settings.accountAttempts;
    return [
      networkLimit(client),
      { key, limit, windowMs: WINDOW_MS[by] },
      { key, limit: settings.accountAttemptsPerDay, windowMs: WINDOW_MS.day },
    ];
  }

  const refusalOf = (resetsAtMs: number) => tooManyAttempts((resetsAtMs - now()) / 1000);

  /**
   * Reserves a failure of every limit, or none. When a limit is spent, the attempt is refused in
   * any case: the reservation is released with the answer.
   */
  async function reserveAll(limits: readonly AttemptLimit[]): Promise<Reservation[]> {
    const results = await Promise.allSettled(limits.map((limit) => counters.reserve(limit)));
    const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    const isSpent = spentOf(made) !== undefined;
    const isBusy = made.some(({ state }) => state === 'busy');
    if (failed === undefined && (isSpent || !isBusy)) return made;
    await release(made);
    throw failed?.reason ?? new BusyError();
  }

  async function release(reservations: readonly Reservation[]): Promise<void> {
    await Promise.all(reservations.map((one) => one.release()));
  }

  async function attemptOnce(
    { by }: Attempt,
    limits: readonly AttemptLimit[],
    work: (turn: Turn) => Promise<boolean>,
  ): Promise<Verdict> {
    let reservations: Reservation[] = [];
    let isRight: boolean;
    try {
      isRight = await work(async (check) => {
        reservations = await reserveAll(limits);
        const locked = by === 'factor' ? spentOf(reservations) : undefined;
        if (locked !== undefined) throw new SpentError(locked.resetsAtMs);
        return check();
      });
    } catch (error) {
      await release(reservations);
      if (!(error instanceof SpentError)) throw error;
      return { isRight: false, refusal: refusalOf(error.resetsAtMs) };
    }
    const spent = spentOf(reservations);
    if (isRight || spent !== undefined) await release(reservations);
    else await Promise.all(reservations.map((one) => one.fail()));
    return { isRight, refusal: spent && refusalOf(spent.resetsAtMs) };
  }

  return {
    async enter(client) {
      const { key, limit, windowMs } = networkLimit(client);
      const { total, resetsAtMs } = await counters.add(key, 0, windowMs);
      if (total >= limit) throw refusalOf(resetsAtMs);
    },
    async guard(attempt, work) {
      const limits = limitsOf(attempt);
      const endsAtMs = performance.now() + waitMs;
      for (let attempts = 0; ; attempts += 1) {
        try {
          return await attemptOnce(attempt, limits, work);
        } catch (error) {
          if (!(error instanceof BusyError)) throw error;
        }
        if (performance.now() > endsAtMs) throw hashQueueFull(1);
        await pause(backoffMs(attempts, 10, 200));
      }
    },
  };
}

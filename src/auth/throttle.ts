import type { Config } from '../config';
import type { Counters } from '../data/counters';
import type { Problem } from '../errors';
import type { ClientInfo } from './client';
import { tooManyAttempts } from './problems';
import { digest } from './refresh-token';

/** One attempt, counted before the password is looked at: many at once cannot all slip under a limit. */
export interface Attempt {
  /** Set when the answer must be this, whatever the password is. The work is to be done all the same. */
  readonly refusal: Problem | undefined;
  /** Takes the attempt out of the counts again: only failures count. */
  forgive(): Promise<void>;
}

export interface Throttle {
  /** Counts against the client's network. Throws 429 at once: the network is no secret, and its guesses are not worth the work. */
  enter(client: ClientInfo): Promise<void>;
  /** Counts against the account, or against the known device that asks. The account need not exist. */
  attempt(emailKey: string, client: ClientInfo, knownDevice: boolean): Promise<Attempt>;
  /** Unlocks an account whose owner has proven who they are in another way. */
  unlock(emailKey: string): Promise<void>;
}

interface Limit {
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
}

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

export interface ThrottleOptions {
  readonly counters: Counters;
  readonly settings: Config['sessions'];
  readonly now: () => number;
}

export function createThrottle({ counters, settings, now }: ThrottleOptions): Throttle {
  const networkLimit = ({ network }: ClientInfo): Limit => ({
    key: `login:n:${network}`,
    limit: settings.networkAttempts,
    windowMs: 10 * MINUTE,
  });

  /** Shortest first. A known device has counts of its own, so that strangers cannot use up its owner's. */
  function limitsOf(emailKey: string, client: ClientInfo, known: boolean): Limit[] {
    const account = digest(emailKey).slice(0, 22);
    const day = { limit: settings.accountAttemptsPerDay, windowMs: DAY };
    if (!known) return accountLimits(account);
    const key = `login:d:${account}:${digest(`${client.network}\n${client.userAgent}`).slice(0, 22)}`;
    return [
      { key, limit: settings.deviceAttempts, windowMs: MINUTE },
      { key, ...day },
    ];
  }

  function accountLimits(account: string): Limit[] {
    const key = `login:a:${account}`;
    return [
      { key, limit: settings.accountAttempts, windowMs: 5 * MINUTE },
      { key, limit: settings.accountAttemptsPerDay, windowMs: DAY },
    ];
  }

  /** Counts `amount`; undefined when it is within the limit, else the problem. */
  async function count({ key, limit, windowMs }: Limit, amount = 1): Promise<Problem | undefined> {
    const { total, resetsAtMs } = await counters.add(key, amount, windowMs);
    return total > limit ? tooManyAttempts((resetsAtMs - now()) / 1000) : undefined;
  }

  return {
    async enter(client) {
      const refusal = await count(networkLimit(client));
      if (refusal !== undefined) throw refusal;
    },
    async attempt(emailKey, client, knownDevice) {
      const counted: Limit[] = [networkLimit(client)];
      let refusal: Problem | undefined;
      for (const limit of limitsOf(emailKey, client, knownDevice)) {
        // What the short limit refuses is no guess, and does not use up the day's; asked all the same, for equal work.
        const amount = refusal === undefined ? 1 : 0;
        if (amount > 0) counted.push(limit);
        const beyond = await count(limit, amount);
        refusal ??= beyond;
      }
      return {
        refusal,
        async forgive() {
          await Promise.all(counted.map(({ key, windowMs }) => counters.add(key, -1, windowMs)));
        },
      };
    },
    async unlock(emailKey) {
      await Promise.all(accountLimits(digest(emailKey).slice(0, 22)).map(({ key, windowMs }) => counters.reset(key, windowMs)));
    },
  };
}

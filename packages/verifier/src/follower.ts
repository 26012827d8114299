import { randomUUID } from 'node:crypto';
import type { EndedTokens } from './ended-tokens.js';
import { backoffMs, HttpError, pause } from './http.js';
import type { Settings } from './options.js';
import type { AuthService, Look } from './service.js';
import type { Trust } from './trust.js';

export interface Follower {
  /** Resolves when the verifier has decided by itself for the first time. */
  readonly current: Promise<void>;
  /** The error of the last look, until one succeeds. */
  lastError(): unknown;
}

interface FollowerDependencies {
  readonly settings: Settings;
  readonly service: AuthService;
  readonly ended: EndedTokens;
  readonly trust: Trust;
  readonly signal: AbortSignal;
}

/** Until the service has told its lease. */
const FIRST_TIMEOUT_MS = 5000;
/** An answer that comes after the lease would renew nothing; a slow one is better than none. */
const LEAST_TIMEOUT_MS = 250;
/** Between two looks that brought nothing, where the service does not wait. */
const LEAST_PACE_MS = 20;

const BREATH_MS = 1;

/** Looks into the revocation log for ever, one look after the other. */
export function followRevocations(deps: FollowerDependencies): Follower {
  const { settings, service, ended, trust, signal } = deps;
  let id = randomUUID();
  let after: number | undefined;
  /** Everything up to now was read once: from here on looks are of a verifier that decides. */
  let hasCaughtUp = false;
  let leaseMs: number | undefined;
  let failures = 0;
  let lastError: unknown;
  let wasCurrent = false;
  let nowCurrent: () => void = () => undefined;
  const current = new Promise<void>((resolve) => {
    nowCurrent = resolve;
  });

  /** Two looks fit into a lease, so that one slow answer does not end it. */
  const waitMs = () => (trust.holds() && leaseMs !== undefined ? Math.floor(leaseMs / 3) : 0);

  function take({ entries, nextAfter, hasMore, timeMs, ...look }: Look): void {
    for (const entry of entries) ended.apply(entry);
    ended.forgetBefore(timeMs - look.retainMs);
    after = nextAfter;
    leaseMs = look.leaseMs;
    failures = 0;
    lastError = undefined;
    if (!hasMore) hasCaughtUp = true;
  }

  async function look(): Promise<void> {
    const verifier = hasCaughtUp ? id : undefined;
    const timeoutMs =
      leaseMs === undefined ? FIRST_TIMEOUT_MS : Math.max(LEAST_TIMEOUT_MS, leaseMs);
    const began = trust.begin();
    const answer = await service.look({ after, verifier, waitMs: waitMs(), timeoutMs });
    take(answer);
    if (verifier === undefined) return;
    // An answer with more to come does not tell everything that had ended when it began.
    if (!answer.hasMore) {
      trust.renew(began, answer.leaseMs);
      if (!wasCurrent && trust.holds()) {
        wasCurrent = true;
        settings.onEvent({ kind: 'current' });
        nowCurrent();
      }
    }
    const tookMs = trust.begin().monotonicMs - began.monotonicMs;
    if (answer.entries.length === 0 && tookMs < LEAST_PACE_MS)
      await pause(LEAST_PACE_MS - tookMs, signal);
  }

  /** 410: the log no longer has all entries since the last look. It is read from the beginning. */
  function restart(): void {
    trust.drop();
    id = randomUUID();
    after = undefined;
    hasCaughtUp = false;
    settings.onEvent({ kind: 'restarted' });
  }

  async function failed(error: unknown): Promise<void> {
    lastError = error;
    failures += 1;
    settings.onEvent({ kind: 'failed', step: 'look', error });
    if (wasCurrent && !trust.holds()) {
      wasCurrent = false;
      settings.onEvent({ kind: 'silent', error });
    }
    if (error instanceof HttpError && error.status === 410) restart();
    await pause(backoffMs(failures - 1, 25, 1000), signal);
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      await look().catch(failed);
      // Without a request in progress, so that a process with nothing else to do can end.
      await pause(BREATH_MS, signal);
    }
  }

  // Ends with the signal; nothing else leaves the loop.
  follow().catch(() => undefined);
  return { current, lastError: () => lastError };
}

import { Problem } from '../../../kernel/errors';
import type { LogEntry, RevocationLog } from './log';
import type { Mover } from './mover';
import type { Tail } from './tail';
import type { Verifiers } from './verifiers';

interface LookRequest {
  /** Absent: from the beginning of the log. */
  readonly after: number | undefined;
  /** Absent: of a reader for which no write waits. */
  readonly verifier: string | undefined;
  readonly waitMs: number;
  readonly limit: number;
}

interface LookAnswer {
  readonly entries: readonly LogEntry[];
  /** The position of the next look. */
  readonly nextAfter: number;
  readonly hasMore: boolean;
}

export type LookUp = (request: LookRequest) => Promise<LookAnswer>;

const gone = () =>
  new Problem(410, 'position_gone', 'Gone', {
    detail: 'The log does not have what follows that position. Read it from the beginning.',
  });

/** Looks into the log (ADR 40). The order of the steps is what the claim rests on. */
export function createLooks(deps: {
  readonly log: RevocationLog;
  readonly tail: Tail;
  readonly verifiers: Verifiers;
  readonly mover: Mover;
  readonly leaseMs: number;
}): LookUp {
  const { log, tail, verifiers, mover, leaseMs } = deps;

  async function start(after: number | undefined): Promise<number> {
    const [oldest, latest] = await Promise.all([log.oldest(), log.latest()]);
    if (after === undefined) return oldest - 1;
    // Behind the end: of another database, or of one that was restored from a backup.
    if (after < oldest - 1 || after > latest) throw gone();
    return after;
  }

  /**
   * 1. The verifier is registered, durably. A write that ends tokens later finds it, and waits.
   * 2. Where it was not live until now, no write has waited for it: what those have left in the
   *    documents of users goes to the log first.
   */
  async function join(id: string, after: number): Promise<void> {
    const wasLive = await verifiers.register({ id, after, leaseMs });
    if (!wasLive) await mover.moveAll();
  }

  async function readFrom(after: number, limit: number): Promise<LookAnswer> {
    const found = await log.read(after, limit + 1);
    const entries = found.slice(0, limit);
    const nextAfter = entries.at(-1)?.sequence ?? after;
    return { entries, nextAfter, hasMore: found.length > limit };
  }

  return async ({ after: asked, verifier, waitMs, limit }) => {
    const after = await start(asked);
    if (verifier !== undefined) await join(verifier, after);
    const answer = await readFrom(after, limit);
    if (answer.entries.length > 0 || waitMs === 0) return answer;
    // A lease that was granted for longer than it may be waited for would end meanwhile.
    await tail.waitFor(after, Math.min(waitMs, leaseMs / 2));
    return readFrom(after, limit);
  };
}

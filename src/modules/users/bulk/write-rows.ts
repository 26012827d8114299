import type { Actor } from '../../../kernel/permissions';
import type { Cache } from '../../../platform/cache/port';
import { inTime } from '../../../platform/mongo/bounded';
import { LIST_GROUP, userGroup } from '../cached';
import type { UserModel } from '../model';
import type { Decision, WriteDecision } from './decide-row';
import { mapInTurns } from './in-turns';
import type { ImportOrder } from './intake';
import { jobsOfMarks, markOfJob } from './marks';
import type { TakenRow } from './rows';
import { operationOf, rawOf, type WriteContext, writeAll } from './store-rows';

export interface RowWriterDependencies {
  readonly users: UserModel;
  readonly cache: Cache;
  readonly noPassword: string;
  /** Those of these jobs that have not ended. */
  readonly activeJobs: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** The database's time. */
  readonly now: () => number;
}

export interface ApplyContext {
  readonly job: string;
  readonly at: Date;
  readonly order: ImportOrder;
  /** The account that ordered it, with its permissions of now. */
  readonly actor: Actor;
  readonly timeoutMs: number;
  /** Throws where this process must not write any more. */
  readonly assertHeld: () => void;
}

export type Decided<D extends Decision = Decision> = readonly [row: TakenRow, decision: D];

/** Rows of one command. */
const COMMAND_ROWS = 50;

const isWrite = (decided: Decided): decided is Decided<WriteDecision> =>
  decided[1].kind === 'insert' || decided[1].kind === 'update';

export const bounded = <T>(work: Promise<T>, { timeoutMs }: ApplyContext): Promise<T> =>
  inTime(work, timeoutMs, 'a batch of an import');

/** Writes decided rows through the cache. Resolves with the rows that have to be decided again. */
export function createRowWriter(deps: RowWriterDependencies) {
  const { users, cache, noPassword, now } = deps;
  return write;

  async function write(decided: readonly Decided[], context: ApplyContext): Promise<TakenRow[]> {
    if (context.order.dryRun) return [];
    const nowMs = now();
    const times = { now: new Date(nowMs), until: new Date(nowMs + context.timeoutMs) };
    const writes = decided.filter(isWrite);
    if (writes.length === 0) return [];
    const seen = writes.flatMap(([, one]) => (one.kind === 'update' ? [one.seen] : []));
    // After the users were read: of a job that writes one of them later, the update sees the write.
    const active = await stillActive(jobsOfMarks(seen), context);
    // No one has seen the id of a user that does not exist yet: its group has no entries.
    const ids = seen.map(({ _id }) => _id.toHexString());
    const again = await cache.write([...ids.map(userGroup), LIST_GROUP], () =>
      store(writes, { ...context, ...times, noPassword, active }),
    );
    return [...again, ...(await undone(writes, again, context))];
  }

  async function stillActive(jobs: readonly string[], context: ApplyContext) {
    return jobs.length === 0 ? new Set<string>() : bounded(deps.activeJobs(jobs), context);
  }

  /** Resolves with the rows that a unique index refused. */
  async function store(
    writes: readonly Decided<WriteDecision>[],
    context: ApplyContext & WriteContext,
  ): Promise<TakenRow[]> {
    const refused: TakenRow[] = [];
    for (let from = 0; from < writes.length; from += COMMAND_ROWS) {
      const rows = writes.slice(from, from + COMMAND_ROWS);
      const operations = await mapInTurns(rows, ([row, one]) => operationOf(row, one, context));
      context.assertHeld();
      const indexes = await bounded(writeAll(users, operations, context.timeoutMs), context);
      refused.push(...rows.flatMap(([row], i) => (indexes.has(i) ? [row] : [])));
    }
    return refused;
  }

  /** The rows whose update had no effect: another write had changed the user before. */
  async function undone(
    writes: readonly Decided<WriteDecision>[],
    again: readonly TakenRow[],
    context: ApplyContext,
  ): Promise<TakenRow[]> {
    const updates = writes.flatMap(([row, decision]) =>
      decision.kind === 'update' && !again.includes(row) ? [{ row, id: decision.seen._id }] : [],
    );
    if (updates.length === 0) return [];
    const found = rawOf(users)
      .find(
        { _id: { $in: updates.map(({ id }) => id) } },
        { projection: { importedBy: 1 }, maxTimeMS: context.timeoutMs },
      )
      .toArray();
    const lines = new Map(
      (await bounded(found, context)).map((user) => [
        user._id.toHexString(),
        markOfJob(user, context.job)?.line,
      ]),
    );
    return updates
      .filter(({ row, id }) => lines.get(id.toHexString()) !== row.line)
      .map(({ row }) => row);
  }
}

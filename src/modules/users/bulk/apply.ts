import type { Actor, Policy } from '../../../kernel/permissions';
import type { Cache } from '../../../platform/cache/port';
import { inTime } from '../../../platform/mongo/bounded';
import { LIST_GROUP, userGroup } from '../cached';
import type { IndexedPath } from '../metadata/indexed';
import type { UserModel } from '../model';
import { type AfterWriteDependencies, createAfterWrite } from './after-write';
import {
  type Decision,
  type DecisionContext,
  decideRow,
  NOT_PERMITTED,
  rowId,
  type WriteDecision,
} from './decide-row';
import { mapInTurns } from './in-turns';
import type { ImportOrder } from './intake';
import { jobsOfMarks, markOfJob } from './marks';
import { withoutOldBan } from './row-changes';
import { type ReportLine, reportLine, type TakenRow } from './rows';
import { findHolders, operationOf, rawOf, type WriteContext, writeAll } from './store-rows';

export const COUNTED = ['created', 'updated', 'unchanged', 'skipped', 'refused'] as const;
type Counts = Record<(typeof COUNTED)[number], number>;

export interface Applied {
  readonly counts: Counts;
  readonly report: readonly ReportLine[];
  /** The first row that exists, where the order says to stop there. Later ones were not done. */
  readonly conflict: TakenRow | undefined;
  /** The first line that was refused because the actor may not import. */
  readonly forbiddenLine: number | undefined;
}

export interface ApplyDependencies extends AfterWriteDependencies {
  readonly users: UserModel;
  readonly cache: Cache;
  readonly policy: Policy;
  readonly indexed: readonly IndexedPath[];
  readonly noPassword: string;
  /** Those of these jobs that have not ended. */
  readonly activeJobs: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Those of the ids that were users, and are being removed. */
  readonly removedAmong: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** The database's time. */
  readonly now: () => number;
}

export interface ApplyContext {
  readonly job: string;
  readonly at: Date;
  readonly order: ImportOrder;
  /** Who ordered it, with the permissions of now. */
  readonly actor: Actor;
  readonly timeoutMs: number;
  /** Throws where this process must not write any more. */
  readonly assertHeld: () => void;
}

/** Another write came between, again and again. */
const ROUNDS = 6;
/** Rows of one command. */
const COMMAND_ROWS = 50;

type Decided<D extends Decision = Decision> = readonly [row: TakenRow, decision: D];

/** Writes the rows of one chunk. The same rows again give the same users and the same result. */
export function createApply(deps: ApplyDependencies) {
  const { users, cache, policy, indexed, noPassword, now } = deps;
  const afterWrite = createAfterWrite(deps);
  return async (given: readonly TakenRow[], context: ApplyContext): Promise<Applied> => {
    const { order, job, actor } = context;
    const at = new Date(now());
    const decision: DecisionContext = { job, order, actor, policy, indexed, now: at };
    const rows = given.map((row) => withoutOldBan(row, at));
    const settled = new Map<TakenRow, Decision>();
    const { first, repeated } = byKey(rows, order.match);
    for (const [row, line] of repeated) {
      const message = `Line ${line} of the file is the same user.`;
      settled.set(row, { kind: 'refused', fault: { code: 'duplicate_record', message } });
    }
    let open: readonly TakenRow[] = first;
    let conflict: TakenRow | undefined;
    for (let round = 0; open.length > 0 && round < ROUNDS; round += 1) {
      const holdersOf = await bounded(findHolders(users, open, context), context);
      const decided = await withoutRemoved(
        await mapInTurns(open, (row): Decided => [row, decideRow(row, holdersOf(row), decision)]),
        context,
      );
      conflict ??= decided.find(([, { kind }]) => kind === 'conflict')?.[0];
      const before = conflict?.line ?? Number.POSITIVE_INFINITY;
      const wanted = decided.filter(([row]) => row.line < before);
      open = await write(wanted, context);
      for (const [row, one] of wanted) settled.set(row, open.includes(row) ? CONTENDED : one);
    }
    if (!order.dryRun) await afterWrite(settled, context);
    return { ...summary(settled, conflict?.line), conflict };
  };

  /** What a line has made before a crash, and somebody has removed since, it does not make again. */
  async function withoutRemoved(decided: readonly Decided[], context: ApplyContext) {
    const idOf = ({ line }: TakenRow) => rowId(context.job, line).toHexString();
    const inserted = decided.filter(([, { kind }]) => kind === 'insert').map(([row]) => idOf(row));
    if (inserted.length === 0 || context.order.dryRun) return decided;
    const removed = await bounded(deps.removedAmong(inserted), context);
    return decided.map(
      ([row, one]): Decided =>
        one.kind === 'insert' && removed.has(idOf(row)) ? [row, { kind: 'created' }] : [row, one],
    );
  }

  /** Resolves with the rows that have to be decided again. */
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
      writeRows(writes, { ...context, ...times, noPassword, active }),
    );
    return [...again, ...(await undone(writes, again, context))];
  }

  async function stillActive(jobs: readonly string[], context: ApplyContext) {
    return jobs.length === 0 ? new Set<string>() : bounded(deps.activeJobs(jobs), context);
  }

  /** Resolves with the rows that a unique index refused. */
  async function writeRows(
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

const isWrite = (decided: Decided): decided is Decided<WriteDecision> =>
  decided[1].kind === 'insert' || decided[1].kind === 'update';

const bounded = <T>(work: Promise<T>, { timeoutMs }: ApplyContext): Promise<T> =>
  inTime(work, timeoutMs, 'a batch of an import');

const CONTENDED: Decision = {
  kind: 'refused',
  fault: { code: 'contended', message: 'Too many concurrent writes to this user.' },
};

/** The first row of each user, and the line of the first for every other one. */
function byKey(rows: readonly TakenRow[], match: ImportOrder['match']) {
  const lines = new Map<string | null | undefined, number>();
  const first: TakenRow[] = [];
  const repeated = new Map<TakenRow, number>();
  for (const row of rows) {
    const key = match === 'email' ? row.email?.toLowerCase() : row.metadata.external_id;
    const line = lines.get(key);
    if (line === undefined) {
      lines.set(key, row.line);
      first.push(row);
    } else repeated.set(row, line);
  }
  return { first, repeated };
}

/** Of the rows before the one that ends the job. */
function summary(
  settled: ReadonlyMap<TakenRow, Decision>,
  before = Number.POSITIVE_INFINITY,
): Omit<Applied, 'conflict'> {
  const counts: Counts = { created: 0, updated: 0, unchanged: 0, skipped: 0, refused: 0 };
  const report: ReportLine[] = [];
  let forbiddenLine: number | undefined;
  for (const [row, decision] of settled) {
    if (row.line >= before) continue;
    if ('fault' in decision) report.push(reportLine(row.line, decision.fault, row));
    if (decision === NOT_PERMITTED) forbiddenLine = Math.min(forbiddenLine ?? row.line, row.line);
    const { kind } = decision;
    if (kind === 'insert') counts.created += 1;
    else if (kind === 'update') counts.updated += 1;
    else if (kind !== 'conflict') counts[kind] += 1;
  }
  return { counts, report, forbiddenLine };
}

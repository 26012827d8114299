import type { Policy } from '../../../kernel/permissions';
import type { IndexedPath } from '../metadata/indexed';
import { type AfterWriteDependencies, createAfterWrite } from './after-write';
import { type Decision, type DecisionContext, decideRow, NOT_PERMITTED, rowId } from './decide-row';
import { mapInTurns } from './in-turns';
import type { ImportOrder } from './intake';
import { withoutOldBan } from './row-changes';
import { type ReportLine, reportLine, type TakenRow } from './rows';
import { findHolders } from './store-rows';
import {
  type ApplyContext,
  bounded,
  createRowWriter,
  type Decided,
  type RowWriterDependencies,
} from './write-rows';

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

export interface ApplyDependencies extends AfterWriteDependencies, RowWriterDependencies {
  readonly policy: Policy;
  readonly indexed: readonly IndexedPath[];
  /** Those of the ids that were users, and are being removed. */
  readonly removedAmong: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
}

/** Another write came between, again and again. */
const ROUNDS = 6;

/** Writes the rows of one chunk. The same rows again give the same users and the same result. */
export function createApply(deps: ApplyDependencies) {
  const { users, policy, indexed, now } = deps;
  const write = createRowWriter(deps);
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

  /** A user that a line made before a crash, and that was removed since, is not made again. */
  async function withoutRemoved(decided: readonly Decided[], context: ApplyContext) {
    const idOf = ({ line }: TakenRow) => rowId(context.job, line);
    const inserted = decided.filter(([, { kind }]) => kind === 'insert').map(([row]) => idOf(row));
    if (inserted.length === 0 || context.order.dryRun) return decided;
    const removed = await bounded(deps.removedAmong(inserted), context);
    return decided.map(
      ([row, one]): Decided =>
        one.kind === 'insert' && removed.has(idOf(row)) ? [row, { kind: 'created' }] : [row, one],
    );
  }
}

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

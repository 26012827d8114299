import { NO_CLIENT } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { TokensEnded } from '../settled-ends';
import type { Decision } from './decide-row';
import { markOfJob } from './marks';
import type { TakenRow } from './rows';
import {
  type Changed,
  type ChangedAccounts,
  emitChanges,
  toCleanUp,
  toTell,
} from './security-changes';

export interface AfterWriteDependencies {
  readonly tokensEnded: TokensEnded;
  /** Removes what other modules keep about these accounts. Doing it again does no harm. */
  readonly cleanUp: (accounts: ChangedAccounts) => Promise<void>;
  readonly emit: EmitEvent;
  /** Resolves when the events emitted so far are in the audit log. */
  readonly stored: () => Promise<void>;
}

/**
 * Work that the written rows of a chunk need before its checkpoint: a chunk that is done again does
 * this again, also for rows that an earlier holder of the job has written.
 */
export function createAfterWrite(deps: AfterWriteDependencies) {
  const { tokensEnded, cleanUp, emit, stored } = deps;
  return async (settled: ReadonlyMap<TakenRow, Decision>, { job, actor }: By): Promise<void> => {
    const updated = [...settled].flatMap(([row, one]) =>
      one.kind === 'update' || one.kind === 'updated' ? [[row, one] as const] : [],
    );
    if (updated.length === 0) return;
    const all = updated.flatMap(
      ([row, decision]) => changedBy(row, decision, { job, actor }) ?? [],
    );
    await Promise.all([
      cleanUp(toCleanUp(all)),
      tokensEnded(updated.map(([, { seen }]) => seen._id.toHexString())),
    ]);
    const by = { actor: actor.userId, client: NO_CLIENT, job };
    for (const one of all) emitChanges(emit, one, by);
    // No one emits them again once the checkpoint is there.
    if (all.length > 0) await stored();
  };
}

type Updated = Extract<Decision, { readonly kind: 'update' | 'updated' }>;

interface By {
  readonly job: string;
  readonly actor: { readonly userId: string };
}

/** undefined: nothing that is to be told of an account that existed. */
function changedBy(row: TakenRow, decision: Updated, { job, actor }: By): Changed | undefined {
  const { seen } = decision;
  const isNew = decision.kind === 'update';
  const mark = isNew ? toTell(seen, decision.changes, actor) : markOfJob(seen, job);
  const { did = [], members = [] } = mark ?? {};
  if (did.length === 0 && members.length === 0) return undefined;
  const sessionVersion = isNew ? seen.sessionVersion + 1 : seen.sessionVersion;
  const { role = seen.role, status = seen.status } = row;
  const ban = { until: row.bannedUntil ?? undefined, reason: row.banReason ?? undefined };
  return { id: seen._id.toHexString(), sessionVersion, did, members, role, status, ...ban };
}

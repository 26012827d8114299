import { type mongo, Types } from 'mongoose';
import { foldEmail } from '../../../kernel/fold';
import { type Actor, USER } from '../../../kernel/permissions';
import { isBefore } from '../../../platform/mongo/expressions';
import type { Changes, MetadataChanges } from '../changes';
import type { UserDocument, UserModel } from '../model';
import { newDocument } from '../new-document';
import { roomFor } from '../user-events';
import { changeOf, present } from '../write-commands';
import { type Holders, rowId, type WriteDecision } from './decide-row';
import { withMark } from './marks';
import { membersOf, type TakenRow } from './rows';
import { endsSessions, toTell } from './security-changes';
import { SEEN_PROJECTION, type Seen } from './seen';

type Operation = mongo.AnyBulkWriteOperation<UserDocument>;

/** Without mongoose's checks: the rows are checked. */
export const rawOf = (users: UserModel) => users.db.collection<UserDocument>(users.collection.name);

/** The stored users by the keys of rows. */
export async function findHolders(
  users: UserModel,
  rows: readonly TakenRow[],
  { job, timeoutMs }: { readonly job: string; readonly timeoutMs: number },
): Promise<(row: TakenRow) => Holders> {
  const options = { projection: SEEN_PROJECTION, maxTimeMS: timeoutMs };
  const made = { _id: { $in: rows.map(({ line }) => new Types.ObjectId(rowId(job, line))) } };
  const emails = rows.flatMap(({ email }) => (email === undefined ? [] : [foldEmail(email)]));
  const ids = rows.flatMap(({ metadata }) => metadata.external_id ?? []);
  const find = (field: 'emailKey' | 'externalId', values: readonly string[]) =>
    values.length === 0
      ? Promise.resolve([])
      : rawOf(users)
          .find<Seen>({ [field]: { $in: [...values] } }, options)
          .toArray();
  const [byEmail, byId, byRow] = await Promise.all([
    find('emailKey', emails),
    find('externalId', ids),
    rawOf(users)
      .find(made, { ...options, projection: { _id: 1 } })
      .toArray(),
  ]);
  const withRow = new Set(byRow.map(({ _id }) => _id.toHexString()));
  const withEmail = new Map(byEmail.map((seen) => [seen.emailKey, seen]));
  const withId = new Map(byId.map((seen) => [seen.externalId, seen]));
  return ({ line, email, metadata: { external_id: id } }) => ({
    made: withRow.has(rowId(job, line)),
    email: email === undefined ? undefined : withEmail.get(foldEmail(email)),
    externalId: typeof id === 'string' ? withId.get(id) : undefined,
  });
}

export interface WriteContext {
  readonly job: string;
  readonly actor: Pick<Actor, 'userId'>;
  /** Stored where a row has no password. */
  readonly noPassword: string;
  /** Time of the new users: that of the job, also when it is done again. */
  readonly at: Date;
  readonly now: Date;
  /** By the database's clock: a later update has no effect. */
  readonly until: Date;
  /** The jobs that have written users of these rows, and have not ended. */
  readonly active: ReadonlySet<string>;
}

export function operationOf(
  row: TakenRow,
  decision: WriteDecision,
  context: WriteContext,
): Operation {
  return decision.kind === 'insert'
    ? { insertOne: { document: documentOf(row, decision.metadata, context) } }
    : updateOf(row, decision, context);
}

function documentOf(
  row: TakenRow,
  metadata: MetadataChanges,
  { job, at, noPassword }: WriteContext,
): UserDocument {
  const { line, email = '', name = email.slice(0, email.indexOf('@')), role = USER } = row;
  const { passwordHash = noPassword, createdAt = at } = row;
  const user = { id: rowId(job, line), name, email, passwordHash, role, metadata };
  return {
    ...newDocument(user, createdAt, at),
    ...present(rowMembers(row)),
    updatedAt: at,
    importedBy: markOf(job, row),
  };
}

/** The members of a user that a row sets, besides those of every new user. */
function rowMembers(row: TakenRow) {
  const { name: _name, email: _email, role: _role, passwordHash: _hash, ...more } = membersOf(row);
  return more;
}

/** Only while the user is as the decision saw it. */
function updateOf(
  row: TakenRow,
  { seen, changes }: { readonly seen: Seen; readonly changes: Changes },
  { job, actor, now, until, active }: WriteContext,
): Operation {
  // The end of an earlier ban, or the demand of another password, ends with what is replaced.
  const whole: Changes = {
    ...('status' in changes ? { bannedUntil: null, banReason: null } : {}),
    ...('passwordHash' in changes ? { mustChangePassword: null } : {}),
    ...changes,
  };
  const endSessions = endsSessions(changes) ? {} : undefined;
  const change = changeOf(seen, whole, { now, endSessions });
  const mark = { ...markOf(job, row), ...toTell(seen, changes, actor) };
  const { _id, rev, role, status, passwordHash, sessionVersion } = seen;
  const same = { _id, rev, role, status, passwordHash, sessionVersion, ...roomFor(endSessions) };
  return {
    updateOne: {
      filter: { ...same, $expr: isBefore(until) },
      update: { ...change, $set: { ...change.$set, importedBy: withMark(seen, mark, active) } },
    },
  };
}

const markOf = (job: string, { line }: TakenRow) => ({ job: new Types.ObjectId(job), line });

/**
 * The operations that a unique index refused, by their numbers; the others were carried out. Throws
 * for any other failure.
 */
export async function writeAll(
  users: UserModel,
  operations: readonly Operation[],
  timeoutMs: number,
): Promise<ReadonlySet<number>> {
  try {
    const options = { ordered: false, maxTimeMS: timeoutMs };
    await rawOf(users).bulkWrite([...operations], options);
    return new Set();
  } catch (error) {
    const { writeErrors } = error as Partial<mongo.MongoBulkWriteError>;
    const all = writeErrors === undefined ? [] : [writeErrors].flat();
    if (all.length === 0 || all.some(({ code }) => code !== 11000)) throw error;
    return new Set(all.map(({ index }) => index));
  }
}

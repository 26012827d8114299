import type { Connection } from 'mongoose';
import { isDuplicateKey } from '../errors';

const MIGRATIONS_COLLECTION = 'migrations';

/** How far a migration is, as the database has it. */
export interface MigrationState {
  readonly _id: string;
  /**
   * `running`: a pass over the collection is in progress, or was interrupted. `done`: every
   * document was looked at; processes of the version before may write the old form again.
   * `settled`: none was found a while later.
   */
  readonly state: 'running' | 'done' | 'settled';
  /** Counts every change of this document: a write names the revision that it rests on. */
  readonly revision: number;
  /** Passes begun; the latest is the one that the rest is about. */
  readonly pass: number;
  /** The checkpoint: `_id` of the last document of the last finished batch. Absent: none yet. */
  readonly after?: unknown;
  readonly examined: number;
  /** Documents of the old form that this pass has met. */
  readonly met: number;
  /** Documents changed by all passes. */
  readonly changed: number;
  readonly startedAt: Date;
  /** When the present pass began. */
  readonly passAt: Date;
  readonly doneAt?: Date;
  /** Copied from the migration, for processes that do not know it. */
  readonly needs?: string;
}

/** An aggregation expression; `$$NOW` is the database's time. */
type Expression = Record<string, unknown>;

type Stored = { -readonly [K in keyof MigrationState]: MigrationState[K] };
type StateChange = Partial<Omit<Stored, '_id' | 'revision' | 'needs'>>;

export interface MigrationStates {
  list(): Promise<MigrationState[]>;
  /** Creates it as `running` when there is none. */
  open(id: string, needs: string | undefined): Promise<MigrationState>;
  /** False, and nothing written: another process has changed it since, or `only` does not hold. */
  save(seen: MigrationState, change: StateChange, only?: Expression): Promise<boolean>;
}

/** Times are the database's. */
export function migrationStates(
  connection: Connection,
  { timeoutMs }: { timeoutMs: number },
): MigrationStates {
  const states = () => connection.collection<Stored>(MIGRATIONS_COLLECTION);
  const bounded = { maxTimeMS: timeoutMs } as const;

  const all: MigrationStates = {
    list: () =>
      states()
        .find({}, { ...bounded, sort: { _id: 1 } })
        .toArray(),
    async open(id, needs) {
      const fresh = {
        ...{ state: 'running', revision: 0, pass: 1, examined: 0, met: 0, changed: 0 },
        ...{ startedAt: '$$NOW', passAt: '$$NOW' },
        ...(needs === undefined ? {} : { needs: { $literal: needs } }),
      };
      try {
        const state = await states().findOneAndUpdate(
          { _id: id },
          [{ $replaceWith: { $mergeObjects: [fresh, '$$ROOT'] } }],
          { upsert: true, returnDocument: 'after', ...bounded },
        );
        if (state !== null) return state;
      } catch (error) {
        // Another process has just created it.
        if (!isDuplicateKey(error)) throw error;
      }
      return all.open(id, needs);
    },
    async save({ _id, revision }, change, only) {
      const fields = Object.entries({ ...change, revision: revision + 1 });
      const set = Object.fromEntries(
        fields.map(([name, value]) => [name, value === undefined ? '$$REMOVE' : literal(value)]),
      );
      const { matchedCount } = await states().updateOne(
        { _id, revision, ...(only === undefined ? {} : { $expr: only }) },
        [{ $set: set }],
        bounded,
      );
      return matchedCount === 1;
    },
  };
  return all;
}

/** Stands for the database's time in a StateChange. */
export const DATABASE_TIME = new Date(0);

const literal = (value: unknown) => (value === DATABASE_TIME ? '$$NOW' : { $literal: value });

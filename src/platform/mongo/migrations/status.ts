import type { Connection } from 'mongoose';
import { inOrder, type Migration } from './migration';
import { migrationStates } from './state';

export interface MigrationStatus {
  readonly id: string;
  /** `later`: of a later version, unknown to this one. */
  readonly state: 'pending' | 'running' | 'done' | 'settled' | 'later';
  /** Documents that the present pass has looked at. */
  readonly examined: number;
  /** Documents of the collection, estimated. */
  readonly total: number;
  /**
   * Documents that have the old form still, or again; undefined for migrations of later versions.
   */
  readonly remaining: number | undefined;
}

/** Counts the documents of the old form, which reads the collection. */
export async function migrationStatus(
  connection: Connection,
  migrations: readonly Migration[],
  options: { timeoutMs: number },
): Promise<MigrationStatus[]> {
  const states = await migrationStates(connection, options).list();
  const bounded = { maxTimeMS: options.timeoutMs };
  const known = inOrder(migrations).map(async (migration): Promise<MigrationStatus> => {
    const { id, collection, outdated } = migration;
    const found = states.find(({ _id }) => _id === id);
    const documents = connection.collection(collection);
    return {
      id,
      state: found?.state ?? 'pending',
      examined: found?.examined ?? 0,
      total: await documents.estimatedDocumentCount(bounded),
      remaining: await documents.countDocuments(outdated, bounded),
    };
  });
  const ids = new Set(migrations.map(({ id }) => id));
  const later = states
    .filter(({ _id }) => !ids.has(_id))
    .map(({ _id, examined }) => ({
      ...{ id: _id, state: 'later' as const, examined, total: 0, remaining: undefined },
    }));
  return [...(await Promise.all(known)), ...later];
}

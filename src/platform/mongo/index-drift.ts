import type { Connection, mongo } from 'mongoose';
import type { IndexedCollection } from './indexed-collection';
import { declaredIndexes } from './indexes';

/** A difference between the declared indexes and those of the database. */
export interface IndexDrift {
  readonly collection: string;
  readonly index: string;
  /**
   * `missing`: the service needs it. `different`: it has other keys or options than declared.
   * `undeclared`: of an earlier version, or an operator's own.
   */
  readonly fault: 'missing' | 'different' | 'undeclared';
  readonly detail?: string;
}

const SIMPLE = 'simple';
const DEFAULT_STRENGTH = 3;
/** NamespaceNotFound: the collection does not exist yet. */
const NO_COLLECTION = 26;
const OPTIONS = ['unique', 'sparse', 'expireAfterSeconds', 'partialFilterExpression'] as const;

export async function indexDrift(
  connection: Connection,
  collections: readonly IndexedCollection[],
): Promise<IndexDrift[]> {
  const drift: IndexDrift[] = [];
  for (const { collection, indexes } of declaredIndexes(collections)) {
    const present = await presentIndexes(connection, collection);
    const found = (name = '') => present.find((one) => one.name === name);
    drift.push(...indexes.flatMap((one) => driftOf(collection, one, found(one.name))));
    for (const { name = '' } of present)
      if (name !== '_id_' && !indexes.some((one) => one.name === name))
        drift.push({ collection, index: name, fault: 'undeclared' });
  }
  return drift;
}

function driftOf(
  collection: string,
  declared: mongo.IndexDescription,
  found: mongo.IndexDescriptionInfo | undefined,
): IndexDrift[] {
  const { name: index = '' } = declared;
  if (found === undefined) return [{ collection, index, fault: 'missing' }];
  const [is, wanted] = [describe(found), describe(declared)];
  if (is === wanted) return [];
  return [{ collection, index, fault: 'different', detail: `is ${is}, declared ${wanted}` }];
}

async function presentIndexes(
  connection: Connection,
  collection: string,
): Promise<mongo.IndexDescriptionInfo[]> {
  try {
    return await connection.collection(collection).listIndexes().toArray();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === NO_COLLECTION) return [];
    throw error;
  }
}

function describe(index: mongo.IndexDescription | mongo.IndexDescriptionInfo): string {
  const key = index.key instanceof Map ? [...index.key] : Object.entries(index.key);
  const options = OPTIONS.flatMap((name) =>
    index[name] === undefined || index[name] === false ? [] : [[name, index[name]]],
  );
  // Some servers report the absence of a collation as `simple`, and all add defaults to one.
  const { locale = SIMPLE, strength = DEFAULT_STRENGTH } = index.collation ?? {};
  const collation = locale === SIMPLE ? [] : [['collation', `${locale}/${strength}`]];
  return JSON.stringify([Object.fromEntries(key), Object.fromEntries([...options, ...collation])]);
}

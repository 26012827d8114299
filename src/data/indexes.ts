import type { IndexDescription } from 'mongodb';
import type { Connection, IndexDefinition, IndexOptions } from 'mongoose';
import type { Logger } from '../observability/logger';
import { COUNTERS_COLLECTION } from './counters';
import { IDEMPOTENCY_COLLECTION } from './idempotency';
import { LOCKS_COLLECTION } from './locks';

/** What of a mongoose model this needs; models of any document fit. */
export interface IndexedModel {
  readonly collection: { readonly collectionName: string };
  readonly schema: { indexes(): [IndexDefinition, IndexOptions][] };
}

/** Collections without a model whose old documents MongoDB may remove by itself. Nothing depends on that for correctness. */
const EXPIRING = [COUNTERS_COLLECTION, LOCKS_COLLECTION, IDEMPOTENCY_COLLECTION] as const;

/** The indexes of a collection that is used without a model. */
export interface IndexedCollection {
  readonly collection: string;
  readonly indexes: readonly IndexDescription[];
}

/** An index over many users takes its time. */
export const INDEX_BUILD_TIMEOUT_MS = 600_000;

/** Creates what is missing; an index that exists with other options is an error, never silently kept. */
export async function ensureIndexes(
  connection: Connection,
  models: readonly IndexedModel[],
  collections: readonly IndexedCollection[],
  log: Logger,
): Promise<void> {
  for (const model of models) {
    const { collectionName } = model.collection;
    const indexes = model.schema.indexes().map(([key, options]) => {
      const { background: _, ...rest } = options;
      return { ...rest, key } as IndexDescription;
    });
    await connection.collection(collectionName).createIndexes(indexes, { maxTimeMS: INDEX_BUILD_TIMEOUT_MS });
    log.debug({ collection: collectionName, indexes: indexes.length }, 'indexes are in place');
  }
  for (const { collection, indexes } of collections) {
    await connection.collection(collection).createIndexes([...indexes], { maxTimeMS: INDEX_BUILD_TIMEOUT_MS });
    log.debug({ collection, indexes: indexes.length }, 'indexes are in place');
  }
  for (const name of EXPIRING) {
    await connection
      .collection(name)
      .createIndexes([{ key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 }], { maxTimeMS: INDEX_BUILD_TIMEOUT_MS });
  }
}

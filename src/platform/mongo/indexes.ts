import type { Connection } from 'mongoose';
import { COUNTERS_COLLECTION } from '../counters/mongo-counters';
import { IDEMPOTENCY_COLLECTION } from '../http/idempotency-store';
import { JOBS_COLLECTION } from '../jobs/job-document';
import { JOB_FILES_COLLECTION } from '../jobs/job-files';
import type { Logger } from '../telemetry/logger';
import type { IndexedCollection } from './indexed-collection';
import { LOCKS_COLLECTION } from './locks';

/**
 * Platform collections with a TTL index. Correctness does not depend on the removal of expired
 * documents.
 */
const EXPIRING = [
  COUNTERS_COLLECTION,
  LOCKS_COLLECTION,
  IDEMPOTENCY_COLLECTION,
  JOBS_COLLECTION,
  JOB_FILES_COLLECTION,
] as const;

/** Building an index over many users takes long. */
export const INDEX_BUILD_TIMEOUT_MS = 600_000;
const BUILD_REPORT_MS = 10_000;

/** The given indexes and those of the platform's own collections, each collection once. */
export function declaredIndexes(
  collections: readonly IndexedCollection[],
): readonly IndexedCollection[] {
  const expiry = { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 } as const;
  const all = [
    ...collections,
    ...EXPIRING.map((name) => ({ collection: name, indexes: [expiry] })),
  ];
  return [...new Set(all.map(({ collection }) => collection))].map((collection) => ({
    collection,
    indexes: all.filter((one) => one.collection === collection).flatMap(({ indexes }) => indexes),
  }));
}

/**
 * Creates the missing indexes; reads and writes go on meanwhile. An existing index with other
 * options is an error.
 */
export async function ensureIndexes(
  connection: Connection,
  collections: readonly IndexedCollection[],
  log: Logger,
): Promise<void> {
  for (const { collection, indexes } of declaredIndexes(collections)) {
    const stop = reportBuild(connection, collection, log);
    try {
      await connection
        .collection(collection)
        .createIndexes([...indexes], { maxTimeMS: INDEX_BUILD_TIMEOUT_MS });
    } catch (error) {
      throw isConflict(error) ? differs(collection, error) : error;
    } finally {
      stop();
    }
    log.debug({ collection, indexes: indexes.length }, 'indexes are in place');
  }
}

/** IndexOptionsConflict, IndexKeySpecsConflict. */
const isConflict = (error: unknown): error is Error =>
  error instanceof Error && [85, 86].includes((error as { code?: unknown }).code as number);

/** The server's message names the index. */
const differs = (collection: string, cause: Error) =>
  new Error(
    `an index of ${collection} is not as this version declares it: ${cause.message}. Drop it with db.${collection}.dropIndex(name); the next start builds it`,
    { cause },
  );

/** Logs every 10 s that indexes are being built, with the progress if the server tells it. */
function reportBuild(connection: Connection, collection: string, log: Logger): () => void {
  const beganMs = performance.now();
  const timer = setInterval(() => {
    void buildProgress(connection, collection).then((progress) => {
      const tookMs = Math.round(performance.now() - beganMs);
      log.info({ collection, tookMs, ...progress }, 'building indexes');
    });
  }, BUILD_REPORT_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Needs no special rights for operations of the same user. Never rejects. */
async function buildProgress(
  connection: Connection,
  collection: string,
): Promise<{ done?: number; total?: number }> {
  try {
    const pipeline = [
      { $currentOp: { allUsers: false } },
      { $match: { 'command.createIndexes': collection, progress: { $exists: true } } },
      { $limit: 1 },
    ];
    const admin = connection.getClient().db('admin');
    const [row] = await admin
      .aggregate<{ progress: { done: number; total: number } }>(pipeline, { maxTimeMS: 1000 })
      .toArray();
    return row === undefined ? {} : { done: row.progress.done, total: row.progress.total };
  } catch {
    return {};
  }
}

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createConnection } from 'mongoose';
import { startEmbeddedDatabase } from '../../dev/embedded-mongo';
import { createLogger } from '../../src/platform/telemetry/logger';

export interface TestMongo {
  readonly uri: string;
  close(): Promise<void>;
}

/**
 * Creates a database for the caller: on the server of MONGODB_URI when that is set, otherwise an
 * embedded engine with an empty folder.
 */
export async function startTestMongo(): Promise<TestMongo> {
  const server = process.env['MONGODB_URI'];
  return server === undefined || server === '' ? startOwnEngine() : useDatabaseOn(server);
}

async function startOwnEngine(): Promise<TestMongo> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'db-'));
  const log = createLogger({ level: 'warn', name: 'test-database' });
  // Written to the terminal: the only line explains the wait for the first download.
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const database = await startEmbeddedDatabase({ mode: 'auto', dataDir, log, progress });
  return {
    uri: database.uri,
    async close() {
      await database.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function useDatabaseOn(server: string): Promise<TestMongo> {
  const uri = withDatabase(server, `test_${randomBytes(6).toString('hex')}`);
  return {
    uri,
    async close() {
      const connection = await createConnection(uri, {
        serverSelectionTimeoutMS: 5000,
      }).asPromise();
      await connection.dropDatabase();
      await connection.close();
    },
  };
}

/** Not parsed with URL: it rejects a list of several hosts. */
function withDatabase(uri: string, name: string): string {
  const parts = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri);
  if (parts === null) throw new Error('MONGODB_URI is not a MongoDB URI');
  return `${parts[1]}/${name}${parts[2] ?? ''}`;
}

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createConnection } from 'mongoose';
import { startEmbeddedDatabase } from '../../src/embedded';
import { createLogger } from '../../src/observability/logger';

export interface TestMongo {
  readonly uri: string;
  close(): Promise<void>;
}

/** A database of the caller's own: on MONGODB_URI's server when that is set, otherwise an engine with an empty folder. */
export async function startTestMongo(): Promise<TestMongo> {
  const server = process.env['MONGODB_URI'];
  return server === undefined || server === '' ? startOwnEngine() : useDatabaseOn(server);
}

async function startOwnEngine(): Promise<TestMongo> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'db-'));
  const log = createLogger({ level: 'warn', name: 'test-database' });
  // Straight to the terminal: the only line is the one about the first fetch, which explains a wait.
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
      const connection = await createConnection(uri, { serverSelectionTimeoutMS: 5000 }).asPromise();
      await connection.dropDatabase();
      await connection.close();
    },
  };
}

/** Not a URL: a seed list of several hosts does not parse as one. */
function withDatabase(uri: string, name: string): string {
  const parts = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri);
  if (parts === null) throw new Error('MONGODB_URI is not a MongoDB URI');
  return `${parts[1]}/${name}${parts[2] ?? ''}`;
}

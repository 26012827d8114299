import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { startEmbeddedDatabase } from '../src/embedded';
import type { Closable } from '../src/lifecycle';
import { createLogger } from '../src/observability/logger';
import { moveToCpus } from './cpus';
import { freePort, start, untilReady } from './processes';

/** The database and the Redis that every contestant of a run uses, and a folder for logs, all gone afterwards. */
export interface Stores extends Closable {
  readonly folder: string;
  readonly mongodbUri: string;
  readonly redisUrl: string;
  emptyRedis(): Promise<void>;
}

export async function startStores(cpus: readonly number[], mongodbUri: string | undefined): Promise<Stores> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const program = {
    name: 'redis-server',
    command: 'redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    cpus,
    logFile: join(folder, 'redis.log'),
  };
  const redis = start(program);
  await untilReady(program, redis, () => accepts(port), 10_000);
  const database = mongodbUri === undefined ? await startDatabase(folder, cpus) : undefined;
  return {
    folder,
    mongodbUri: mongodbUri ?? database?.uri ?? '',
    redisUrl: `redis://127.0.0.1:${port}`,
    emptyRedis: () => emptyRedis(port),
    async close() {
      await Promise.all([redis.stop(), database?.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function emptyRedis(port: number): Promise<void> {
  const client = createClient({ socket: { port, host: '127.0.0.1' } });
  await client.connect();
  await client.flushAll();
  await client.close();
}

async function startDatabase(folder: string, cpus: readonly number[]) {
  const log = createLogger({ level: 'warn' });
  const database = await startEmbeddedDatabase({ mode: 'auto', dataDir: join(folder, 'db'), log });
  const pid = database.pid();
  if (pid !== undefined) moveToCpus(cpus, pid);
  return database;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { startEmbeddedDatabase } from '../dev/embedded-mongo';
import type { Closable } from '../src/kernel/lifecycle';
import { createLogger } from '../src/platform/telemetry/logger';
import { allowedCpus, moveToCpus } from './cpus';
import { freePort, start, untilReady } from './processes';

/**
 * The database and the Redis that every contestant of a run uses, and a folder for logs, all gone
 * afterwards.
 */
export interface Stores extends Closable {
  readonly folder: string;
  readonly mongodbUri: string;
  readonly redisUrl: string;
  emptyRedis(): Promise<void>;
  /**
   * The cores that they may use from now on: at first any, and fewer the more workers there are.
   */
  moveTo(cpus: readonly number[]): void;
}

export async function startStores(mongodbUri: string | undefined): Promise<Stores> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const program = {
    name: 'redis-server',
    command: 'redis-server',
    args: [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
    ],
    cpus: allowedCpus(),
    logFile: join(folder, 'redis.log'),
  };
  const redis = start(program);
  await untilReady(program, redis, () => accepts(port), 10_000);
  const database = mongodbUri === undefined ? await startDatabase(folder) : undefined;
  return {
    folder,
    mongodbUri: mongodbUri ?? database?.uri ?? '',
    redisUrl: `redis://127.0.0.1:${port}`,
    emptyRedis: () => emptyRedis(port),
    moveTo(cpus) {
      for (const pid of [redis.pid, database?.pid()]) if (pid !== undefined) moveToCpus(cpus, pid);
    },
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

async function startDatabase(folder: string) {
  const log = createLogger({ level: 'warn' });
  return await startEmbeddedDatabase({ mode: 'auto', dataDir: join(folder, 'db'), log });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

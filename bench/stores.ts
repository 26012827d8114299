import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Closable } from '../src/lifecycle';
import { freePort, start, untilReady } from './processes';

/** The database and the Redis that every contestant of a run uses, and a folder for logs, all gone afterwards. */
export interface Stores extends Closable {
  readonly folder: string;
  readonly mongodbUri: string;
  readonly redisUrl: string;
}

export async function startStores(cpus: readonly number[], mongodbUri: string | undefined): Promise<Stores> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
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
  return {
    folder,
    mongodbUri: mongodbUri ?? '',
    redisUrl: `redis://127.0.0.1:${port}`,
    async close() {
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

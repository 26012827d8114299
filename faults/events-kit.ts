import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from 'mongoose';
import { parseConfig } from '../src/kernel/config/config';
import { connectDatabase } from '../src/platform/mongo/connection';
import { createLogger } from '../src/platform/telemetry/logger';
import { createClient, login } from '../tests/support/http';
import { startTestMongo } from '../tests/support/mongo';
import {
  isRunning,
  type LogLine,
  type ServiceProcess,
  startService,
  until,
} from '../tests/support/service';
import { ADMIN, prepare } from './clocks-kit';
import { inOrder, readSeen, type SeenEvent } from './events-mirror';
import { QUIET, serviceEntry, unbundledEntry } from './process-kit';

const programs = join(__dirname, 'programs');
const SETTLE_MS = 60_000;
/** A planted fault may keep it from settling. */
const PLANTED_SETTLE_MS = 10_000;

export interface StageOptions {
  readonly hosts: number;
  /** A program of faults/programs that takes a safeguard away. */
  readonly planted?: string | undefined;
  readonly follow: 'list' | 'stream' | 'webhook';
}

/** Whole services on one database, and a consumer of their events in a process of its own. */
export interface EventStage {
  readonly token: string;
  urls(): readonly string[];
  /** Sends SIGKILL; the service or the host starts what is missing. */
  killWorker(): void;
  /** Waits for the process that moves events. */
  killPump(): Promise<void>;
  killPrimary(): Promise<void>;
  killConsumer(): void;
  /** Suspends the process that moves events, and lets it go on. */
  suspendPump(ms: number): Promise<void>;
  /** Waits until each event is in the log and was read. */
  settled(): Promise<{ readonly pending: number; readonly database: ReadonlyMap<string, number> }>;
  seen(): SeenEvent[];
}

const ENV = {
  ...QUIET,
  NODE_ENV: 'test',
  WORKERS: '2',
  ACCESS_LOG: 'false',
  PUBLIC_URL: 'http://api.example.test',
  NEAR_CACHE_TTL_MS: '5',
  ACCESS_TOKEN_TTL_SECONDS: '86400',
  // A busy machine must not shed load here, and a suspended worker must go on.
  ADMISSION_LOOP_BUDGET_MS: '60000',
  WORKER_STALL_MS: '60000',
  // Workers are killed all the time.
  RESTART_BACKOFF_MAX_MS: '100',
  // The consumer is one of them.
  WEBHOOKS_ALLOWED_NETWORKS: '127.0.0.1',
  WEBHOOKS_RETRY_SECONDS: Array.from({ length: 20 }, () => 1).join(),
  WEBHOOKS_TIMEOUT_MS: '5000',
};

export async function withEventStage<T>(
  options: StageOptions,
  use: (stage: EventStage) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'events-'));
  const mongo = await startTestMongo();
  const config = parseConfig({ NODE_ENV: 'test' });
  const database = await connectDatabase(
    mongo.uri,
    config.database,
    createLogger({ level: 'silent' }),
  );
  const env = environment(mongo.uri, options.planted);
  const entry = options.planted === undefined ? serviceEntry : unbundledEntry;
  const hosts = createHosts(() => startService({ entry, env, timeoutMs: 150_000 }), folder);
  let consumer: Consumer | undefined;
  try {
    await prepare(mongo.uri, env);
    await hosts.start(options.hosts);
    const token = await login(
      createClient(hosts.urls()[0] ?? '', { unchecked: true }),
      ADMIN.email,
      ADMIN.password,
    );
    const port = await freePort();
    consumer = startConsumer({ folder, token, port, follow: options.follow });
    if (options.follow === 'webhook') await createWebhook(hosts.urls()[0] ?? '', token, port);
    const { kill, seen } = consumer;
    return await use({
      token,
      ...hosts,
      killConsumer: kill,
      seen,
      settled: () =>
        settle(
          database.connection,
          seen,
          options.planted === undefined ? SETTLE_MS : PLANTED_SETTLE_MS,
        ),
    });
  } finally {
    await consumer?.close();
    await hosts.close();
    await database.close();
    await mongo.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const environment = (uri: string, planted: string | undefined): Record<string, string> => ({
  ...ENV,
  MONGODB_URI: uri,
  ...(planted === undefined
    ? {}
    : { NODE_OPTIONS: `--require ${join(programs, `${planted}.js`)}` }),
});

/** Hosts whose addresses stand in a file: one that was killed comes back with another port. */
function createHosts(start: () => Promise<ServiceProcess>, folder: string) {
  const hosts: ServiceProcess[] = [];
  const ended: ServiceProcess[] = [];
  let turn = 0;
  const urls = () => hosts.map(({ url }) => url);
  const publish = () => writeFileSync(join(folder, 'urls'), `${urls().join('\n')}\n`);
  const workers = () => hosts.flatMap((host) => host.workerPids());
  const send = (pid: number | undefined, signal: NodeJS.Signals) => {
    if (pid !== undefined && isRunning(pid)) process.kill(pid, signal);
  };

  const presentPump = () => until('the holder of the event pump lock', pumpPid);

  /** The log of a worker says that it acquired the lock. */
  function pumpPid(): number | undefined {
    const lines = [...hosts, ...ended].flatMap((host) => host.logs('event pump lock acquired'));
    const at = (line: LogLine) => new Date(line['time'] as string | number).getTime();
    return lines.sort((a, b) => at(b) - at(a)).find(({ pid }) => isRunning(pid))?.pid;
  }

  return {
    urls,
    async start(count: number) {
      hosts.push(...(await Promise.all(Array.from({ length: count }, start))));
      publish();
    },
    killWorker() {
      turn += 1;
      const pids = workers();
      send(pids[turn % Math.max(1, pids.length)], 'SIGKILL');
    },
    killPump: async () => send(await presentPump(), 'SIGKILL'),
    async killPrimary() {
      turn += 1;
      const index = turn % hosts.length;
      const host = hosts[index] as ServiceProcess;
      send(host.pid, 'SIGKILL');
      ended.push(host);
      hosts[index] = await start();
      publish();
    },
    async suspendPump(ms: number) {
      const pid = await presentPump();
      send(pid, 'SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, ms));
      send(pid, 'SIGCONT');
    },
    async close() {
      await Promise.all([...hosts, ...ended].map((host) => host.close()));
    },
  };
}

interface Consumer {
  kill(): void;
  seen(): SeenEvent[];
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function createWebhook(baseUrl: string, token: string, port: number): Promise<void> {
  const body = { url: `http://127.0.0.1:${port}/`, after: 0 };
  const { status } = await createClient(baseUrl)('POST', '/api/webhooks', { token, body });
  if (status !== 201) throw new Error(`the webhook was answered ${status}`);
}

function startConsumer(options: {
  readonly folder: string;
  readonly token: string;
  readonly port: number;
  readonly follow: string;
}): Consumer {
  const file = join(options.folder, 'seen');
  let child: ChildProcess | undefined;
  let isClosing = false;
  function start(): void {
    if (isClosing) return;
    writeFileSync(file, '', { flag: 'a' });
    child = spawn(process.execPath, [join(programs, 'event-consumer.js')], {
      env: {
        FILE: file,
        URLS: join(options.folder, 'urls'),
        TOKEN: options.token,
        FOLLOW: options.follow,
        PORT: String(options.port),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.once('exit', start);
  }
  start();
  return {
    kill: () => child?.kill('SIGKILL'),
    seen: () => (options.follow === 'webhook' ? inOrder(readSeen(file)) : readSeen(file)),
    async close() {
      isClosing = true;
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      child?.kill('SIGKILL');
      await ended;
    },
  };
}

async function settle(connection: Connection, seen: () => SeenEvent[], timeoutMs: number) {
  const pendingIn = (name: string) =>
    connection.collection(name).countDocuments({ 'outbox.at': { $exists: true } });
  const pending = async () => (await pendingIn('users')) + (await pendingIn('user_removals'));
  const latest = async () => {
    const [last] = await connection
      .collection<{ _id: number }>('events')
      .find({}, { sort: { _id: -1 }, limit: 1 })
      .toArray();
    return last?._id ?? 0;
  };
  // What is missing afterwards is counted.
  await until(
    'the events to settle',
    async () => {
      const events = seen();
      // A webhook may get the last event before others.
      const read = Math.min(events.length, events.at(-1)?.sequence ?? 0);
      return (await pending()) === 0 && read >= (await latest());
    },
    timeoutMs,
  ).catch(() => undefined);
  const users = await connection
    .collection<{ rev: number }>('users')
    .find({}, { projection: { rev: 1 } })
    .toArray();
  return {
    pending: await pending(),
    database: new Map(users.map(({ _id, rev }) => [String(_id), rev])),
  };
}

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import {
  DataFolderInUseError,
  type EmbeddedDatabase,
  type EmbeddedOptions,
  embeddedUri,
  startEmbeddedDatabase,
} from '../../../dev/embedded-mongo';
import { layoutOf } from '../../../dev/embedded-mongo/layout';
import { processExists, startedAt } from '../../../dev/embedded-mongo/system';
import { parseConfig } from '../../../src/kernel/config/config';
import { connectDatabase, databaseOptions } from '../../../src/platform/mongo/connection';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { writeFakeMongod } from '../../support/fake-mongod';
import { victimOf } from '../../support/service';

const ENTRY = path.join(__dirname, '../../../dev/embedded-mongo/main.js');
const log = createLogger({ level: 'silent' });
/** The first run on an old system downloads a C library. */
const FIRST_START_MS = 120_000;

const databases: EmbeddedDatabase[] = [];
const connections: Connection[] = [];
const children: ChildProcess[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'emb-'));
});
afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close(true)));
  await Promise.all(databases.splice(0).map((database) => database.close()));
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedDatabase> {
  const database = await startEmbeddedDatabase({
    mode: 'engine',
    dataDir: folder,
    log,
    ...options,
  });
  databases.push(database);
  return database;
}

/** Connects with the service's write concern. */
async function connect(uri: string): Promise<Connection> {
  const { connection } = await connectDatabase(
    uri,
    parseConfig({ JWT_SECRET: randomBytes(48).toString('base64') }).database,
    log,
  );
  connections.push(connection);
  return connection;
}

/** Runs main.ts of the database; resolves with the pid of the database once it serves. */
async function startEntry(dataDir: string): Promise<{ parent: ChildProcess; databasePid: number }> {
  const environment = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    EMBEDDED_DB: 'engine',
    DATA_DIR: dataDir,
  };
  const parent = spawn(process.execPath, [ENTRY], {
    env: environment,
    cwd: dataDir,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(parent);
  let output = '';
  parent.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await until(() => output.includes('"databasePid"') || parent.exitCode !== null, FIRST_START_MS);
  return { parent, databasePid: Number(/"databasePid":(\d+)/.exec(output)?.[1]) };
}

async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await sleep(10);
  }
}

const isGone = (pid: number) => !processExists(pid) || startedAt(pid) === '';

describe('the embedded database', () => {
  beforeAll(async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'emb-'));
    await (await startEmbeddedDatabase({ mode: 'engine', dataDir, log })).close();
    await rm(dataDir, { recursive: true, force: true });
  }, FIRST_START_MS);

  it('serves at the URI derived from the data folder, and keeps the data over a restart', async () => {
    const first = await start();
    expect(first.uri).toBe(embeddedUri(folder));
    expect(first.engine).toBe('mongodb-engine (npm)');
    await (await connect(first.uri)).collection('things').insertOne({ name: 'kept' });
    await first.close();
    const second = await start();
    expect(second.uri).toBe(first.uri);
    const connection = await connect(second.uri);
    expect(await connection.collection('things').findOne({}, { projection: { _id: 0 } })).toEqual({
      name: 'kept',
    });
  });

  it('leaves no process, socket or claim behind when closed', async () => {
    const database = await start();
    const pid = database.pid() ?? 0;
    await database.close();
    expect(isGone(pid)).toBe(true);
    const { runDir, ownerFile } = layoutOf(folder);
    expect([runDir, ownerFile].filter((file) => existsSync(file))).toEqual([]);
  });

  it('no other user can access the socket', async () => {
    await start();
    expect(statSync(layoutOf(folder).runDir).mode & 0o077).toBe(0);
  });

  it('works below a path that is too long for a socket', async () => {
    const deep = path.join(folder, ...Array.from({ length: 8 }, () => 'a-rather-long-name'));
    const database = await start({ dataDir: deep });
    const connection = await connect(database.uri);
    await connection.collection('things').insertOne({ name: 'deep' });
    expect(await connection.collection('things').countDocuments()).toBe(1);
    const { runDir } = layoutOf(deep);
    expect(runDir.startsWith(deep)).toBe(false);
    await database.close();
    expect(existsSync(runDir)).toBe(false);
  });

  it('serves several processes at the same time', async () => {
    const { uri } = await start();
    const counters = (await connect(uri)).collection('counters');
    await counters.insertOne({ name: 'hits', value: 0 });
    const script = `
      const { createConnection } = require('mongoose');
      (async () => {
        const connection = await createConnection(${JSON.stringify(uri)}).asPromise();
        const add = () => connection.collection('counters').findOneAndUpdate({ name: 'hits' }, { $inc: { value: 1 } });
        for (let i = 0; i < 25; i++) await Promise.all([add(), add(), add(), add()]);
        await connection.close();
      })()`;
    const workers = Array.from({ length: 3 }, () =>
      spawn(process.execPath, ['-e', script], { cwd: process.cwd(), stdio: 'inherit' }),
    );
    children.push(...workers);
    const codes = await Promise.all(
      workers.map((worker) => once(worker, 'exit').then(([code]) => code as number)),
    );
    expect(codes).toEqual([0, 0, 0]);
    expect((await counters.findOne({ name: 'hits' }))?.['value']).toBe(300);
  });
});

describe('when processes are killed', () => {
  it('the database comes back at the same URI with every acknowledged write', async () => {
    const database = await start();
    const things = (await connect(database.uri)).collection('things');
    const acknowledged: number[] = [];
    let writing = true;
    let next = 0;
    const write = async () => {
      while (writing) {
        const n = next++;
        // The outcome of a failed write is unknown; only acknowledged writes must be durable.
        await things.insertOne({ n }).then(
          () => acknowledged.push(n),
          () => sleep(5),
        );
      }
    };
    const writers = Array.from({ length: 8 }, write);
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 100);
      const killed = database.pid() ?? 0;
      process.kill(killed, 'SIGKILL');
      await until(() => database.pid() !== killed && database.state() === 'up');
    }
    const after = acknowledged.length;
    await until(() => acknowledged.length > after + 100);
    writing = false;
    await Promise.all(writers);
    const found = new Set(
      (await things.find({}, { projection: { n: 1 } }).toArray()).map(
        (thing) => thing['n'] as number,
      ),
    );
    expect(acknowledged.filter((n) => !found.has(n))).toEqual([]);
  });

  it('uses w: 1 with the journal for a standalone server, and majority for others', () => {
    const { database } = parseConfig({});
    const wanted = (uri: string) => databaseOptions(uri, database).writeConcern;
    expect(wanted(embeddedUri(folder))).toMatchObject({ w: 1, journal: true });
    for (const uri of [
      'mongodb://db',
      'mongodb://db/auth?w=1',
      'mongodb://db/?directConnection=true',
    ]) {
      expect(wanted(uri)).toMatchObject({ w: 'majority', journal: true });
    }
  });

  it('reports the state "restarting" while it is down', async () => {
    const database = await start();
    process.kill(victimOf([database.pid()]), 'SIGKILL');
    await until(() => database.state() === 'restarting');
    await until(() => database.state() === 'up');
  });

  it('the database exits with a killed service, and the next service starts at once', async () => {
    const { parent, databasePid } = await startEntry(folder);
    const ended = once(parent, 'exit');
    parent.kill('SIGKILL');
    await ended;
    const database = await start();
    await until(() => isGone(databasePid));
    expect((await (await connect(database.uri)).db?.admin().ping())?.['ok']).toBe(1);
  });

  it('main.ts stops its database on SIGTERM and exits with 0', async () => {
    const { parent, databasePid } = await startEntry(folder);
    const ended = once(parent, 'exit');
    parent.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(isGone(databasePid)).toBe(true);
  });

  it('the database ignores signals that a terminal or a service manager sends to the process group', async () => {
    const database = await start();
    const pid = database.pid() ?? 0;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    expect((await (await connect(database.uri)).db?.admin().ping())?.['ok']).toBe(1);
    expect(database.pid()).toBe(pid);
  });
});

describe('two services on one data folder', () => {
  it('the second fails with DataFolderInUseError, and the first keeps running', async () => {
    const first = await start();
    await expect(start()).rejects.toThrow(DataFolderInUseError);
    await expect(start()).rejects.toThrow(`in use by process ${process.pid}`);
    expect((await (await connect(first.uri)).db?.admin().ping())?.['ok']).toBe(1);
  });

  it('the lock on the files also refuses the second', async () => {
    const first = await start();
    rmSync(layoutOf(folder).ownerFile);
    await expect(start()).rejects.toThrow(DataFolderInUseError);
    expect((await (await connect(first.uri)).db?.admin().ping())?.['ok']).toBe(1);
    expect(first.state()).toBe('up');
  });
});

describe('an installed mongod', () => {
  const variable = 'MONGOMS_SYSTEM_BINARY';
  const before = process.env[variable];
  afterEach(() => {
    if (before === undefined) delete process.env[variable];
    else process.env[variable] = before;
  });

  it('is preferred, restarted when killed, and stopped with the service', async () => {
    const binary = await writeFakeMongod(path.join(folder, 'bin'));
    process.env[variable] = binary;
    const dataDir = path.join(folder, 'data');
    const database = await start({ mode: 'auto', dataDir });
    expect(database.engine).toBe(`mongod (${binary})`);
    const things = (await connect(database.uri)).collection('things');
    await things.insertOne({ name: 'one' });
    // Kill only the host process: the orphaned mongod must not block the next one from the files.
    const host = database.pid() ?? 0;
    const orphan = Number(execFileSync('pgrep', ['-P', String(host)], { encoding: 'utf8' }));
    process.kill(host, 'SIGKILL');
    await until(() => database.pid() !== host && database.state() === 'up');
    expect(isGone(orphan)).toBe(true);
    expect(await things.countDocuments()).toBe(1);
    const mongod = Number(
      execFileSync('pgrep', ['-P', String(database.pid())], { encoding: 'utf8' }),
    );
    await database.close();
    expect(isGone(mongod)).toBe(true);
  });

  it('does not hide the data that the engine from npm has written', async () => {
    await (await start({ mode: 'engine' })).close();
    process.env[variable] = await writeFakeMongod(path.join(folder, 'bin'));
    expect((await start({ mode: 'auto' })).engine).toBe('mongodb-engine (npm)');
  });

  it('the error for a wrong path contains the path and the alternatives', async () => {
    process.env[variable] = '/nowhere/mongod';
    process.env['MONGOMS_DOWNLOAD_MIRROR'] = 'http://127.0.0.1:9';
    const failure = start({ mode: 'mongod' });
    await expect(failure).rejects.toThrow(
      /MONGOMS_SYSTEM_BINARY names \/nowhere\/mongod[\s\S]*MONGODB_URI[\s\S]*MONGOMS_DOWNLOAD_MIRROR/,
    );
    delete process.env['MONGOMS_DOWNLOAD_MIRROR'];
  });
});

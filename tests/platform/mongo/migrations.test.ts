import path from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { mongo as driver } from 'mongoose';
import { ConfigError, parseConfig } from '../../../src/kernel/config/config';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { runBatch } from '../../../src/platform/mongo/migrations/batch';
import { acceptLaterMigrations } from '../../../src/platform/mongo/migrations/known';
import { inOrder, type Migration } from '../../../src/platform/mongo/migrations/migration';
import { runMigrations } from '../../../src/platform/mongo/migrations/run';
import { migrationStates } from '../../../src/platform/mongo/migrations/state';
import { migrationStatus } from '../../../src/platform/mongo/migrations/status';
import { watchMigrations } from '../../../src/platform/mongo/migrations/watch';
import { createLogger, type Logger } from '../../../src/platform/telemetry/logger';
import { countedMigration as counted } from '../../support/counted-migration';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { run } from '../../support/processes';
import { until } from '../../support/until';

const silent = createLogger({ level: 'silent' });
const timeoutMs = 5000;

let mongo: TestMongo;
let database: Database;
beforeAll(async () => {
  mongo = await startTestMongo();
  database = await connect();
});
afterAll(async () => {
  await database?.close();
  await mongo?.close();
});
beforeEach(async () => {
  for (const name of ['migrations', 'locks', 'counted', 'people'])
    await collection(name).deleteMany({});
});

const connect = () => {
  const { database: settings } = parseConfig({ NODE_ENV: 'test', MONGODB_URI: mongo.uri });
  return connectDatabase(mongo.uri, settings, silent);
};
const collection = (name: string) => database.connection.collection<driver.Document>(name);
const states = () => migrationStates(database.connection, { timeoutMs });
const stateOf = async (id = counted.id) => (await states().list()).find(({ _id }) => _id === id);
const migrate = (options: Partial<Parameters<typeof runMigrations>[2]> = {}, list = [counted]) =>
  runMigrations(database.connection, list, { log: silent, ...options });

/** Their `_id`s are numbers with gaps, so that documents can be inserted between them. */
const seed = async (count: number) => {
  const all = Array.from({ length: count }, (_, n) => ({ _id: n * 2, form: 1, text: `text ${n}` }));
  await collection('counted').insertMany(all as never);
};

/** A logger whose lines can be read. */
function recordedLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().split('\n')) if (line) lines.push(JSON.parse(line));
      done();
    },
  });
  return { log: createLogger({ level: 'debug' }, sink), lines };
}

describe('after kill -9 in the middle of 20,000 documents', () => {
  const COUNT = 20_000;

  test('another process goes on at the checkpoint; no document is lost or done twice', async () => {
    await seed(COUNT);
    const child = run([
      process.execPath,
      path.join(__dirname, '..', '..', 'support', 'migration-child.js'),
      mongo.uri,
    ]);
    await until('a part of the work', async () => Number((await stateOf())?.examined) > 4000);
    child.child.kill('SIGKILL');
    expect((await child.exited).signal).toBe('SIGKILL');
    const killed = await stateOf();
    expect(killed).toMatchObject({ state: 'running', pass: 1 });
    expect(Number(killed?.examined)).toBeLessThan(COUNT);
    const half = await collection('counted').countDocuments({ form: 2 });
    expect(half).toBeGreaterThanOrEqual(Number(killed?.changed));
    expect(half).toBeLessThan(COUNT);

    const { log, lines } = recordedLog();
    expect(await migrate({ log })).toBe(true);

    expect(await collection('counted').countDocuments({ form: 2, times: 1 })).toBe(COUNT);
    const texts = await collection('counted').find({}).sort({ _id: 1 }).toArray();
    expect(texts.map(({ text }) => text)).toEqual(texts.map((_, n) => `text ${n}`));
    // Begun again, the first pass would have looked at more documents than there are.
    const passes = lines.filter(({ msg }) => msg === 'migration pass ended');
    expect(passes.map(({ examined }) => examined)).toEqual([COUNT, COUNT]);
    expect(await stateOf()).toMatchObject({ state: 'done' });
  });
});

test('two processes at once share the work: no batch is done by both', async () => {
  await seed(8000);
  const others = [await connect(), await connect()];
  const updates = others.map(({ connection }) => {
    let count = 0;
    connection.getClient().on('commandStarted', ({ commandName, command }) => {
      if (commandName === 'update' && command['update'] === 'counted') count += 1;
    });
    return () => count;
  });
  const runs = others.map(({ connection }) =>
    runMigrations(connection, [counted], { log: silent, batchMax: 100 }),
  );
  expect(await Promise.all(runs)).toEqual([true, true]);
  await Promise.all(others.map((one) => one.close()));
  expect(await collection('counted').countDocuments({ form: 2, times: 1 })).toBe(8000);
  // Each batch and each end of a pass is one revision.
  const batches = Number((await stateOf())?.revision) - 2;
  expect(batches).toBeGreaterThanOrEqual(160);
  expect(updates.reduce((sum, count) => sum + count(), 0)).toBe(batches);
});

describe('a process that was suspended past its lock', () => {
  const past = new Date(0);

  test('changes no document, by pipeline or by function', async () => {
    await seed(10);
    const options = { size: 100, timeoutMs, until: past };
    expect(await runBatch(database.connection, counted, undefined, options)).toMatchObject({
      ...{ examined: 10, changed: 0 },
    });
    const byFunction: Migration = {
      ...counted,
      change: { reads: ['text'], convert: () => ({ $set: { form: 2 } }) },
    };
    await runBatch(database.connection, byFunction, undefined, options);
    expect(await collection('counted').countDocuments({ form: 1 })).toBe(10);
  });

  test('does not set the checkpoint back', async () => {
    const seen = await states().open(counted.id, undefined);
    expect(await states().save(seen, { examined: 7, after: 14 })).toBe(true);
    expect(await states().save(seen, { examined: 1, after: 2 })).toBe(false);
    expect(await stateOf()).toMatchObject({ examined: 7, after: 14 });
    const late = { $lt: ['$$NOW', past] };
    expect(await states().save(await states().open(counted.id, undefined), {}, late)).toBe(false);
  });

  test('its lock is taken over, and it ends without harm when it wakes up', async () => {
    await seed(8000);
    const child = run([
      process.execPath,
      path.join(__dirname, '..', '..', 'support', 'migration-child.js'),
      mongo.uri,
    ]);
    await until('a part of the work', async () => Number((await stateOf())?.examined) > 2000);
    child.child.kill('SIGSTOP');
    expect(await migrate()).toBe(true);
    const finished = await stateOf();
    child.child.kill('SIGCONT');
    expect((await child.exited).code).toBe(0);
    expect(await stateOf()).toEqual(finished);
    expect(await collection('counted').countDocuments({ form: 2, times: 1 })).toBe(8000);
  });
});

test('documents of the old form that are written meanwhile are met by the next pass', async () => {
  await seed(5000);
  let isOver = false;
  let inserted = 0;
  // Before the checkpoint as well as after it, as the version before would.
  const writing = (async () => {
    for (; !isOver; inserted += 1) {
      await collection('counted').insertOne({ _id: inserted * 2 + 1, form: 1 } as never);
      // On a busy machine the passes would not get ahead of it.
      await pause(2);
    }
  })();
  await until('some writes', () => inserted > 20);
  expect(await migrate({ batchMax: 500 })).toBe(true);
  isOver = true;
  await writing;
  expect(await migrate({ sweepAfterMs: 0 })).toBe(true);
  const all = 5000 + inserted;
  expect(await collection('counted').countDocuments({ form: 2, times: 1 })).toBe(all);
  const [status] = await migrationStatus(database.connection, [counted], { timeoutMs });
  expect(status).toMatchObject({ state: 'done', remaining: 0 });
}, 120_000);

test('a function does not overwrite a write since its read', async () => {
  const wordsOf = (name: string) => name.split(' ');
  const words: Migration = {
    id: '0001-people-words',
    collection: 'people',
    outdated: { words: { $exists: false } },
    change: {
      reads: ['name'],
      convert: ({ name }) => {
        // Widens the gap between the read and the write.
        const endMs = performance.now() + 2;
        while (performance.now() < endMs);
        return { $set: { words: wordsOf(String(name)) } };
      },
    },
  };
  const people = Array.from({ length: 200 }, (_, n) => ({ _id: n, name: `name 0 ${n}` }));
  await collection('people').insertMany(people as never);
  const other = await connect();
  let isOver = false;
  let writes = 0;
  const rename = async () => {
    for (; !isOver; writes += 1)
      await other.connection
        .collection<driver.Document>('people')
        .updateOne({ _id: (writes * 7) % 200 } as never, {
          ...{ $set: { name: `name ${writes}` }, $unset: { words: 1 } },
        });
  };
  const renaming = Promise.all([rename(), rename()]);
  await migrate({ batchMax: 100 }, [words]);
  isOver = true;
  await renaming;
  await other.close();
  expect(writes).toBeGreaterThan(50);
  const wrong = (
    await collection('people')
      .find({ words: { $exists: true } })
      .toArray()
  ).filter(({ name, words }) => wordsOf(name).join() !== words.join());
  expect(wrong).toEqual([]);
  await migrate({ sweepAfterMs: 0 }, [words]);
  expect(await collection('people').countDocuments({ words: { $exists: false } })).toBe(0);
});

test('a run within a budget stops in time, and the next one goes on', async () => {
  await seed(6000);
  expect(await migrate({ budgetMs: 60, batchMax: 50 })).toBe(false);
  const stopped = await stateOf();
  expect(stopped?.state).toBe('running');
  expect(Number(stopped?.examined)).toBeGreaterThan(0);
  expect(Number(stopped?.examined)).toBeLessThan(6000);
  const watch = watchMigrations(database.connection, [counted], silent, { lookMs: 20 });
  await until('the end in the background', async () => (await stateOf())?.state === 'done');
  await watch.close();
  expect(await collection('counted').countDocuments({ form: 2, times: 1 })).toBe(6000);
});

test('in the background, sweeps go on until a while after the last old document', async () => {
  await seed(50);
  await migrate();
  await collection('counted').insertOne({ _id: 1, form: 1 } as never);
  const watch = watchMigrations(database.connection, [counted], silent, {
    ...{ lookMs: 20, sweepAfterMs: 100, settleMs: 800 },
  });
  const began = performance.now();
  await until(
    'the late document',
    async () => (await collection('counted').countDocuments({ form: 1 })) === 0,
  );
  await until('the end', async () => (await stateOf())?.state === 'settled');
  expect(performance.now() - began).toBeGreaterThan(800);
  await watch.close();
  const settled = await stateOf();
  expect(await migrate({ sweepAfterMs: 0 })).toBe(true);
  expect(await stateOf()).toEqual(settled);
});

describe('a database of a later version', () => {
  const later: Migration = { ...counted, id: '0002-later' };
  const closing: Migration = { ...counted, id: '0003-closing', needs: '0002-later' };

  test('is accepted, and swept again by that version', async () => {
    await seed(10);
    await migrate({ settleMs: 0 }, [counted, later]);
    await migrate({ settleMs: 0, sweepAfterMs: 0 }, [counted, later]);
    expect((await stateOf(later.id))?.state).toBe('settled');
    const { log, lines } = recordedLog();
    await acceptLaterMigrations(database.connection, [counted], log, { timeoutMs });
    expect(lines).toContainEqual(
      expect.objectContaining({
        ...{ msg: 'database migrated by a later version', migrations: [later.id] },
      }),
    );
    await collection('counted').insertOne({ _id: 1, form: 1 } as never);
    await migrate({ sweepAfterMs: 0 }, [counted, later]);
    expect(await collection('counted').countDocuments({ form: 1 })).toBe(0);
  });

  test('is refused when a form that this version needs was removed', async () => {
    await migrate({}, [counted, later, closing]);
    const accept = (known: Migration[]) =>
      acceptLaterMigrations(database.connection, known, silent, { timeoutMs });
    await expect(accept([counted, later])).resolves.toBeUndefined();
    await expect(accept([counted])).rejects.toThrow(ConfigError);
    await expect(accept([counted])).rejects.toThrow(/0003-closing.*0002-later/s);
  });
});

test('ids have one form, one order and one number each', () => {
  const [one, two] = [counted, { ...counted, id: '0002-b' }];
  expect(inOrder([two, one]).map(({ id }) => id)).toEqual([one.id, two.id]);
  expect(() => inOrder([one, { ...one, id: '0001-other' }])).toThrow('two migrations');
  expect(() => inOrder([{ ...one, id: 'first' }])).toThrow('does not match');
  expect(() => inOrder([{ ...one, needs: '0000-none' }])).toThrow('is not before it');
});

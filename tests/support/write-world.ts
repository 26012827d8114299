import { setTimeout as sleep } from 'node:timers/promises';
import { startMongoProxy } from '../../faults/mongo-proxy';
import { uniqueEmail } from './http';
import { startTestMongo } from './mongo';
import { startUserHost, type UserHost, type UserHostOptions } from './user-host';
import {
  type CheckedWrites,
  checkWrites,
  recordReads,
  recordWrite,
  recordWrites,
} from './write-history';

/**
 * Operations take up to 700 ms, and the round trip 300 ms: one attempt fits into a write's
 * deadline, a second does not.
 */
const TIMEOUT_MS = 700;
const ONE_WAY_MS = 150;
const USERS = 2;
/**
 * The first attempt of a slow write conflicts with other writes; a second one after its deadline
 * would not.
 */
const BURST_MS = 600;
const SLOW_WRITERS = [1, 2, 3, 4] as const;
/** Longer than a deadline. */
const HELD_MS = 1200;
/**
 * One round trip fits into the deadline, and two, to look and to write, do not: both by far, so
 * that a busy machine changes nothing.
 */
const SLOW = { timeoutMs: 1400, oneWayMs: 450 };
/** Longer than a second attempt takes. */
const AFTER_MS = 5000;
/** Users take no further write once 64 of their events wait for a mover; here nobody reads them. */
const MOVE_EVENTS_MS = 50;

/** Two hosts that write concurrently; one has a slow connection to MongoDB. */
export interface WriteWorld {
  /** `options` apply to the slow host. */
  history(options: UserHostOptions, durationMs: number): Promise<CheckedWrites>;
  /**
   * One write over a connection so slow that its first attempt, which conflicts with writes of the
   * other host, ends after the deadline. `options` apply to the slow host.
   */
  slowWrite(options: UserHostOptions): Promise<CheckedWrites>;
  close(): Promise<void>;
}

export async function startWriteWorld(): Promise<WriteWorld> {
  const mongo = await startTestMongo();
  const proxy = await startMongoProxy(mongo.uri);
  const near = await startUserHost(mongo.uri, { timeoutMs: TIMEOUT_MS });
  const moving = new AbortController();
  const moved = moveEvents(near, moving.signal);
  const ids = await Promise.all(
    Array.from({ length: USERS }, async () => {
      const id = near.repository.newId();
      await near.repository.insert(
        { id, email: uniqueEmail(), name: 'first', passwordHash: 'x', role: 'user' },
        new Date(),
      );
      return id;
    }),
  );
  let runs = 0;

  /**
   * From time to time, delays the slow host's next write for longer than its deadline, then
   * forwards it.
   */
  async function disturb(durationMs: number): Promise<void> {
    const until = performance.now() + durationMs;
    while (performance.now() < until) {
      await sleep(1300);
      proxy.holdFrom('findAndModify');
      await sleep(HELD_MS);
      proxy.release();
    }
  }

  /** With the host on the slow connection. `run`: a number of its own, for names. */
  async function withFar(
    options: UserHostOptions,
    work: (far: UserHost, run: number) => Promise<CheckedWrites>,
  ): Promise<CheckedWrites> {
    runs += 1;
    const far = await startUserHost(proxy.uri, options);
    try {
      return await work(far, runs);
    } finally {
      proxy.pass();
      await far.close();
    }
  }

  return {
    history: (options, durationMs) =>
      withFar({ timeoutMs: TIMEOUT_MS, ...options }, async (far, run) => {
        proxy.delay(ONE_WAY_MS);
        const [histories] = await Promise.all([
          Promise.all([
            // Continues after the others have ended: their delayed messages arrive meanwhile.
            recordWrites(near, `near ${run}`, {
              ids,
              durationMs: durationMs + 1500,
              writePauseMs: 10,
              burstMs: BURST_MS,
            }),
            ...SLOW_WRITERS.map((n) =>
              recordWrites(far, `far ${run}.${n}`, {
                ids,
                durationMs,
                writePauseMs: 20,
                burstMs: 0,
              }),
            ),
          ]),
          disturb(durationMs),
        ]);
        return checkWrites(histories);
      }),
    slowWrite: (options) =>
      withFar({ timeoutMs: SLOW.timeoutMs, ...options }, async (far, run) => {
        const [id = ''] = ids;
        // Opens connections: over the slow link none could be opened in time.
        await Promise.all(Array.from({ length: 8 }, () => far.repository.find(id)));
        proxy.delay(SLOW.oneWayMs);
        let isAnswered = false;
        const slow = recordWrite(far, `slow ${run}`, id).finally(() => {
          isAnswered = true;
        });
        const writes = [];
        while (!isAnswered)
          writes.push(await recordWrite(near, `near ${run}.${writes.length}`, id));
        writes.push(await slow, await recordWrite(near, `newer ${run}`, id));
        // Time for what should not happen: a second attempt.
        return checkWrites([{ writes, reads: await recordReads(near, [id], AFTER_MS) }]);
      }),
    async close() {
      moving.abort();
      await moved;
      await near.close();
      await proxy.close();
      await mongo.close();
    },
  };
}

async function moveEvents({ connection }: UserHost, signal: AbortSignal): Promise<void> {
  const users = connection.collection('users');
  while (!signal.aborted) {
    await users.updateMany({ 'outbox.0': { $exists: true } }, { $set: { outbox: [] } });
    await sleep(MOVE_EVENTS_MS);
  }
}

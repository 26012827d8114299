import { setTimeout as sleep } from 'node:timers/promises';
import { startMongoProxy } from '../../faults/mongo-proxy';
import { uniqueEmail } from './http';
import { startTestMongo } from './mongo';
import { startUserHost, type UserHostOptions } from './user-host';
import { type CheckedWrites, checkWrites, recordWrites } from './write-history';

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

/** Two hosts that write concurrently; one has a slow connection to MongoDB. */
export interface WriteWorld {
  /** `options` apply to the slow host. */
  history(options: UserHostOptions, durationMs: number): Promise<CheckedWrites>;
  close(): Promise<void>;
}

export async function startWriteWorld(): Promise<WriteWorld> {
  const mongo = await startTestMongo();
  const proxy = await startMongoProxy(mongo.uri);
  const near = await startUserHost(mongo.uri, { timeoutMs: TIMEOUT_MS });
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
  let run = 0;

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

  return {
    async history(options, durationMs) {
      run += 1;
      const far = await startUserHost(proxy.uri, { timeoutMs: TIMEOUT_MS, ...options });
      proxy.delay(ONE_WAY_MS);
      try {
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
      } finally {
        proxy.pass();
        await far.close();
      }
    },
    async close() {
      await near.close();
      await proxy.close();
      await mongo.close();
    },
  };
}

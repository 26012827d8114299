import { until, victimOf } from '../tests/support/service';
import { startWriteWorld } from '../tests/support/write-world';
import { startLoad } from './load';
import {
  registerUsers,
  residentMb,
  type Stage,
  startWriter,
  watchHealth,
  withDatabaseStage,
  writtenNumber,
} from './mongo-kit';
import { pause } from './process-kit';
import type { Scenario, Suite } from './scenario';
import { isGood } from './summary';

/** Bounds of ten seconds instead of two: the planted fault. */
const PATIENT = {
  DB_OPERATION_TIMEOUT_MS: '10000',
  DB_SERVER_SELECTION_TIMEOUT_MS: '10000',
  CACHE_WRITER_TTL_MS: '60000',
};

interface Trouble {
  begin(stage: Stage): void;
  end(stage: Stage): void;
}

/** The common observation of all database faults. */
const trouble =
  (kind: Trouble, durationMs: { full: number; quick: number }): Scenario['run'] =>
  ({ quick, planted }) =>
    withDatabaseStage(planted ? PATIENT : {}, async (stage) => {
      const { service } = stage;
      const users = await registerUsers(service.url, 20);
      const readers = users.slice(0, 10);
      const writers = users
        .slice(10)
        .map((user) => ({ user, writer: startWriter(service.url, user) }));
      const bare: string[] = [];
      const load = startLoad({
        targets: [service.url],
        ratePerSecond: 100,
        connections: 1000,
        timeoutMs: 15_000,
        request: (n) => ({
          method: 'GET',
          path: '/api/users/me',
          headers: readers[n % readers.length]?.headers ?? {},
          tag: 'read',
        }),
        onAnswer: (record, _body, headers) => {
          if (record.status === 503 && headers['retry-after'] === undefined) bare.push(record.path);
        },
      });
      const health = watchHealth(service.url);
      await pause(2000);
      const before = residentMb(service.workerPids());
      const [began, beganHealth] = [load.elapsedMs(), health.nowMs()];
      kind.begin(stage);
      await pause(quick ? durationMs.quick : durationMs.full);
      const after = residentMb(service.workerPids());
      const [ended, endedHealth] = [load.elapsedMs(), health.nowMs()];
      kind.end(stage);
      await pause(8000);
      const written = await Promise.all(
        writers.map(async ({ user, writer }) => ({ user, ...(await writer.stop()) })),
      );
      const records = await load.stop();
      const { deaths } = await health.stop();
      const lost = (
        await Promise.all(
          written.map(async ({ user, last }) => (await writtenNumber(service.url, user)) < last),
        )
      ).filter(Boolean).length;

      const during = records.filter(({ plannedMs }) => plannedMs > began && plannedMs < ended);
      const latencies = [
        ...during.map(
          ({ plannedMs, answeredMs = Number.POSITIVE_INFINITY }) => answeredMs - plannedMs,
        ),
        ...written.map(({ slowestMs }) => slowestMs),
      ];
      const slowestMs = Math.round(Math.max(...latencies));
      const bad = records
        .filter((record) => record.plannedMs > ended && !isGood(record))
        .map(({ plannedMs }) => plannedMs - ended);
      const normalMs = Math.round(Math.max(0, ...bad));
      const unreadyMs = Math.round(
        (health.firstAfter(beganHealth, false) ?? Number.POSITIVE_INFINITY) - beganHealth,
      );
      const readyMs = Math.round(
        (health.firstAfter(endedHealth, true) ?? Number.POSITIVE_INFINITY) - endedHealth,
      );
      const withoutRetryAfter =
        bare.length + written.reduce((sum, one) => sum + one.withoutRetryAfter, 0);
      return {
        met:
          slowestMs <= 2500 &&
          unreadyMs <= 3000 &&
          deaths === 0 &&
          normalMs <= 5000 &&
          lost === 0 &&
          withoutRetryAfter === 0 &&
          after - before <= 100,
        figures: {
          'slowest ms': slowestMs,
          'unready after ms': unreadyMs,
          'ready again ms': readyMs,
          'normal after ms': normalMs,
          'reads served %': Math.round(
            (100 * during.filter((record) => isGood(record)).length) / during.length,
          ),
          'writes acknowledged': written.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
          'users with a lost or undone write': lost,
          'livez failures': deaths,
          '503 without Retry-After': withoutRetryAfter,
          'memory MiB before/in it': `${before}/${after}`,
        },
      };
    });

const GOAL =
  'every answer ≤ 2.5 s, refusals 503 + Retry-After; unready ≤ 3 s, alive all the time; memory +≤ 100 MiB; normal ≤ 5 s after; 0 acknowledged writes lost';

const killed: Trouble = {
  begin({ proxy, database }) {
    proxy.refuse();
    const pid = database.pid();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  },
  end: ({ proxy }) => proxy.pass(),
};

const stopped: Trouble = {
  begin: ({ database }) => void process.kill(victimOf([database.pid()]), 'SIGSTOP'),
  end: ({ database }) => void process.kill(victimOf([database.pid()]), 'SIGCONT'),
};

const slow: Trouble = {
  begin: ({ proxy }) => proxy.delay(1500),
  end: ({ proxy }) => proxy.pass(),
};

/**
 * Whether a write that timed out on one host, and reaches the database late, can overwrite a newer
 * write of another host.
 */
const lateUpdate: Scenario = {
  name: 'late-update',
  title:
    'a write held up in the network until its request was given up, and a newer one acknowledged on another host',
  goal: 'the newer one stays',
  run: () =>
    withDatabaseStage({}, async (stage) => {
      const { service, proxy } = stage;
      const other = await stage.startAnother();
      const [user] = await registerUsers(service.url, 1);
      if (user === undefined) throw new Error('no user');
      const write = async (url: string, name: string) =>
        (
          await fetch(`${url}/api/users/me`, {
            method: 'PATCH',
            headers: user.headers,
            body: JSON.stringify({ name }),
            signal: AbortSignal.timeout(15_000),
          })
        ).status;
      const statuses: number[] = [];
      let undone = 0;
      for (let round = 1; round <= 5; round++) {
        await write(service.url, `w${round}0`);
        proxy.holdFrom('findAndModify');
        statuses.push(await write(service.url, `w${round}1`));
        if (!proxy.isHolding()) throw new Error('the write was not held');
        // The other host may have to wait until the first one's claim on the caches expires; the
        // newer write must get through.
        await until(
          'the newer write',
          async () => (await write(other.url, `w${round}2`)) === 200,
          30_000,
        );
        proxy.release();
        await pause(500);
        if ((await writtenNumber(other.url, user)) !== Number(`${round}2`)) undone++;
      }
      const givenUp = statuses.filter((status) => status === 503).length;
      return {
        met: undone === 0 && givenUp > 0,
        figures: { rounds: statuses.length, 'given up': givenUp, undone },
      };
    }),
};

/**
 * Writes on a slow link, some of them held up past their deadline, while another host writes the
 * same users.
 */
const writeHistory: Scenario = {
  name: 'write-history',
  title:
    'two hosts write the same users, one over a link of 300 ms for each round trip that holds its writes up from time to time',
  goal: '0 writes take effect after their 503, 0 acknowledged ones undone, 0 stale reads; some failed',
  planted: 'writes bounded by a timer that cancels nothing',
  run: async ({ quick, planted }) => {
    const world = await startWriteWorld();
    try {
      const { failed, acknowledged, ...rest } = await world.history(
        planted ? { planted: 'no-deadline' } : {},
        quick ? 5000 : 60_000,
      );
      const { reads, stale, late, lost } = rest;
      return {
        met: stale + late + lost === 0 && failed > 0,
        figures: { acknowledged, failed, reads, 'late after their 503': late, undone: lost, stale },
      };
    } finally {
      await world.close();
    }
  },
};

export const suite: Suite = {
  name: 'mongo',
  title: 'Trouble with MongoDB',
  setting:
    'One service of two workers with Redis, its MongoDB (the embedded engine) behind a proxy; 100 reads/s open loop over ten users, ten writers that each write one after the other.',
  scenarios: [
    {
      name: 'killed',
      title: 'killed, away for 10 s',
      goal: GOAL,
      planted: 'bounds of 10 s instead of 2 s',
      run: trouble(killed, { full: 10_000, quick: 5000 }),
    },
    {
      name: 'stopped',
      title: 'stopped (SIGSTOP) for 60 s',
      goal: GOAL,
      planted: 'bounds of 10 s instead of 2 s',
      run: trouble(stopped, { full: 60_000, quick: 8000 }),
    },
    {
      name: 'slow',
      title: 'slow for one pool: 3 s for each round trip',
      goal: GOAL,
      planted: 'bounds of 10 s instead of 2 s',
      run: trouble(slow, { full: 20_000, quick: 8000 }),
    },
    lateUpdate,
    writeHistory,
  ],
};

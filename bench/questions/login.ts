import type { Bench, Question } from '../bench';
import { ours } from '../contestants';
import { email, PASSWORD, seedUsers, setPasswords, subject } from '../dataset';
import type { Standing } from '../field';
import { hashMs } from '../hash-time';
import { quantile } from '../load/histogram';
import { anyOf, bearer, type Traffic } from '../load/traffic';
import { profileReads } from './profile-reads';

const WORKERS = 2;
/**
 * Few reads: they measure the effect of hashing on other requests, and hardly slow it down.
 */
const READS_PER_SECOND = 100;
const MEASURED_SECONDS = 10;

/**
 * The number of users, after those that sign in, with random passwords that take 1 ms to check.
 */
const CHEAP = { from: 1000, count: 300, cost: 4 };
/** The login guard must not refuse the failed attempts. */
const ENV = {
  HASH_QUEUE_MAX: '10000',
  LOGIN_ATTEMPTS_PER_NETWORK: '100000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000',
  LOGIN_ATTEMPTS_PER_ACCOUNT_DAY: '10000',
  LOGIN_ATTEMPTS_PER_DEVICE: '1000',
};

/** Logins at the limit of the CPU, and their effect on reads of other users. */
export const login: Question = {
  id: 'login',
  title: 'POST /api/auth/login at full load, and profile reads meanwhile',
  quick: false,
  ask: async (bench) => {
    await seedUsers(bench.stores.mongodbUri, CHEAP.from + CHEAP.count);
    await setPasswords(bench.stores.mongodbUri, CHEAP);
    await bench.withField([ours], { workers: WORKERS, env: ENV }, async (field) => {
      for (const standing of field) {
        await warmUp(bench, standing);
        for (let round = 0; round < bench.options.rounds; round += 1) await turn(bench, standing);
      }
    });
  },
};

const logins = (from: number, count: number, password: string): Traffic =>
  anyOf(
    Array.from({ length: count }, (_, n) => ({
      method: 'POST',
      path: '/api/auth/login',
      body: { email: email(n + from), password },
    })),
  );

/**
 * Hashing makes logins so slow that V8 needs minutes to optimise the rest of their code. Logins
 * that fail fast, and other reads of sessions, warm the workers up like an hour of real logins.
 */
async function warmUp(bench: Bench, standing: Standing): Promise<void> {
  await bench.closed(standing, logins(CHEAP.from, CHEAP.count, 'not their password'), {
    seconds: 8,
    connections: 16,
    statuses: [401, 429],
  });
  const sessions = Array.from({ length: 300 }, (_, n) => ({
    path: '/api/auth/sessions',
    headers: bearer(standing.contestant.token(subject(n))),
  }));
  await bench.closed(standing, anyOf(sessions), { seconds: 4, connections: 16 });
}

async function turn(bench: Bench, standing: Standing): Promise<void> {
  const reads = profileReads(standing);
  const right = logins(2, 500, PASSWORD);
  const seconds = Math.max(MEASURED_SECONDS, bench.options.seconds);
  const idle = await bench.openBeside(standing, reads, READS_PER_SECOND, { seconds });
  // Before and after, since a shared machine is not always equally fast.
  const before = await hashMs(bench.serverCpus());
  const [perSecond, busy] = await Promise.all([
    bench.closed(standing, right, { seconds, connections: 16 }),
    bench.openBeside(standing, reads, READS_PER_SECOND, { seconds: seconds - 1 }),
  ]);
  // Pending hashes of the last connections are finished first.
  await bench.closed(standing, right, { seconds: 2, connections: 1 });
  const after = await hashMs(bench.serverCpus());
  const capacity = (bench.serverCpus().length * 1000) / ((before + after) / 2);
  const question = 'login';
  bench.record({ question, name: 'logins', unit: 'req/s' }, standing, perSecond);
  bench.record(
    { question, name: 'share of what the cores can hash', unit: '×' },
    standing,
    perSecond / capacity,
  );
  bench.record(
    { question, name: 'read p99, idle', unit: 'ms' },
    standing,
    quantile(idle.latency, 0.99),
  );
  bench.record(
    { question, name: 'read p99, during logins', unit: 'ms' },
    standing,
    quantile(busy.latency, 0.99),
  );
}

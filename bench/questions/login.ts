import type { Bench, Question } from '../bench';
import { ours } from '../contestants';
import { email, PASSWORD, subject } from '../dataset';
import type { Standing } from '../field';
import { hashMs } from '../hash-time';
import { quantile } from '../load/histogram';
import { anyOf, bearer, one } from '../load/traffic';

const WORKERS = 2;
/** Far below what the workers could answer: what is asked is whether hashing disturbs others, not how much fits. */
const READS_PER_SECOND = 500;

/** Logins at the limit of the processor, and what reads of others feel of it. */
export const login: Question = {
  id: 'login',
  title: 'POST /api/auth/login at full load, and profile reads meanwhile',
  quick: false,
  ask: (bench) =>
    bench.withField([ours], { workers: WORKERS, env: { HASH_QUEUE_MAX: '10000' } }, async (field) => {
      for (const standing of field) {
        for (let round = 0; round < bench.options.rounds; round += 1) await turn(bench, standing);
      }
    }),
};

async function turn(bench: Bench, standing: Standing): Promise<void> {
  const reads = one({ path: '/api/auth/profile', headers: bearer(standing.contestant.token(subject(1))) });
  const logins = anyOf(
    Array.from({ length: 500 }, (_, n) => ({
      method: 'POST',
      path: '/api/auth/login',
      body: { email: email(n + 2), password: PASSWORD },
    })),
  );
  const seconds = Math.max(6, bench.options.seconds);
  const idle = await bench.open(standing, reads, READS_PER_SECOND, { seconds });
  // Before and after, since a shared machine is not always equally fast.
  const before = await hashMs(bench.serverCpus());
  const [perSecond, busy] = await Promise.all([
    bench.closed(standing, logins, { seconds, connections: 16 }),
    bench.openBeside(standing, reads, READS_PER_SECOND, { seconds: seconds - 1 }),
  ]);
  // What the last connections left behind is hashed first.
  await bench.closed(standing, logins, { seconds: 2, connections: 1 });
  const after = await hashMs(bench.serverCpus());
  const capacity = (bench.serverCpus().length * 1000) / ((before + after) / 2);
  const question = 'login';
  bench.record({ question, name: 'logins', unit: 'req/s' }, standing, perSecond);
  bench.record({ question, name: 'share of what the cores can hash', unit: '×' }, standing, perSecond / capacity);
  bench.record({ question, name: 'read p99, idle', unit: 'ms' }, standing, quantile(idle.latency, 0.99));
  bench.record({ question, name: 'read p99, during logins', unit: 'ms' }, standing, quantile(busy.latency, 0.99));
}

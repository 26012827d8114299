import type { Bench, Question, Turn } from '../bench';
import { type Contestant, fastify, ours } from '../contestants';
import { seedUsers, subject } from '../dataset';
import type { Standing } from '../field';
import { anyOf, bearer, eachOf, type RequestShape, type Traffic } from '../load/traffic';

const COUNTS = [1, 1000, 100_000];

/**
 * As many users as tokens; each user reads their own record. One record fits every cache. A
 * thousand fit the local cache, but at τ = 50 ms some entries have expired. Of a hundred thousand
 * nearly all have, so nearly every request reads Redis.
 */
export const manyTokens: Question = {
  id: 'many-tokens',
  title: 'GET /api/users/:id, many tokens and ids',
  quick: false,
  ask: async (bench) => {
    await seedUsers(bench.stores.mongodbUri, COUNTS.at(-1) ?? 1);
    const requests = new Map(
      [fastify, ours].map((contestant) => [contestant.id, build(contestant)]),
    );
    const sets = new Map(
      [...requests].map(([id, all]) => [
        id,
        COUNTS.map((count) => ({ count, traffic: anyOf(all.slice(0, count)), once: eachOf(all) })),
      ]),
    );
    await bench.withField([fastify, ours], {}, async (field) => {
      const largest = ({ contestant }: Standing) =>
        sets.get(contestant.id)?.at(-1)?.once ?? eachOf([]);
      // Cold: every id for the first time, so that database, Redis and signature all count.
      for (const standing of field) {
        await bench.stores.emptyRedis();
        const perSecond = await bench.closed(standing, largest(standing), {
          seconds: Math.min(4, bench.options.seconds),
        });
        bench.record(
          { question: 'many-tokens', name: '100,000 ids, cold', unit: 'req/s' },
          standing,
          perSecond,
        );
      }
      await bench.stores.emptyRedis();
      for (const standing of field) await fill(bench, standing, largest(standing));
      const turns = field.flatMap((standing): Turn[] =>
        (sets.get(standing.contestant.id) ?? []).map(({ count, traffic }) => ({
          standing,
          traffic,
          name: `${count.toLocaleString('en')} ${count === 1 ? 'id' : 'ids'}`,
        })),
      );
      await bench.compare({ question: 'many-tokens', name: 'requests' }, turns);
    });
  },
};

function build(contestant: Contestant): RequestShape[] {
  return Array.from({ length: COUNTS.at(-1) ?? 1 }, (_, n) => {
    const user = subject(n);
    return { path: `/api/users/${user.id}`, headers: bearer(contestant.token(user)) };
  });
}

const FILL_SECONDS = 5;

/** Reads the whole list once, so that the measurement covers Redis and not MongoDB. */
async function fill(bench: Bench, standing: Standing, once: Traffic): Promise<void> {
  for (let sent = 0; sent < (COUNTS.at(-1) ?? 1); ) {
    sent +=
      FILL_SECONDS *
      (await bench.closed(standing, once, {
        seconds: FILL_SECONDS,
        connections: 256,
        skip: Math.round(sent),
      }));
  }
}

import type { Question, Turn } from '../bench';
import { type Contestant, fastify, ours } from '../contestants';
import { subject } from '../dataset';
import { anyOf, bearer, eachOf, type RequestShape } from '../load/traffic';

const COUNTS = [1, 1000, 100_000];

/**
 * As many users as tokens, each reading their own record. One fits every cache; a thousand fit the near copies, though at
 * τ = 50 ms not each is young enough; of a hundred thousand hardly any is, so nearly each request goes to Redis.
 */
export const manyTokens: Question = {
  id: 'many-tokens',
  title: 'GET /api/users/:id, many tokens and ids',
  quick: false,
  ask: (bench) => {
    const requests = new Map([fastify, ours].map((contestant) => [contestant.id, build(contestant)]));
    const sets = new Map(
      [...requests].map(([id, all]) => [id, COUNTS.map((count) => ({ count, traffic: anyOf(all.slice(0, count)), once: eachOf(all) }))]),
    );
    return bench.withField([fastify, ours], {}, async (field) => {
      // Cold: every id for the first time since the contestant started, so that database, Redis and signature all count.
      for (const standing of field) {
        const largest = sets.get(standing.contestant.id)?.at(-1);
        if (largest === undefined) continue;
        const seconds = Math.min(4, bench.options.seconds);
        const perSecond = await bench.closed(standing, largest.once, { seconds });
        bench.record({ question: 'many-tokens', name: '100,000 ids, cold', unit: 'req/s' }, standing, perSecond);
        await bench.warm({ standing, traffic: largest.once, options: { seconds: 12 } });
      }
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

import type { Question } from '../bench';
import { fastify, ours, seed } from '../contestants';
import { subject } from '../dataset';
import { anyOf, bearer } from '../load/traffic';

const NEAR_TTLS = ['0', '10', '50'];
const PATCH = { 'Content-Type': 'application/merge-patch+json' };

/**
 * Updates of many users. This service acknowledges an update only when no worker can return the old
 * state, which costs a wait of τ but hardly any CPU: latency, not throughput.
 */
export const update: Question = {
  id: 'update',
  title: 'PATCH /api/users/:id, by τ',
  quick: false,
  async ask(bench) {
    const traffic = (token: (n: number) => string, type: Record<string, string>) =>
      anyOf(
        Array.from({ length: 500 }, (_, n) => ({
          method: 'PATCH',
          path: `/api/users/${subject(n + 10).id}`,
          headers: { ...bearer(token(n + 10)), ...type },
          body: { name: `Renamed ${n}` },
        })),
      );
    for (const ttl of NEAR_TTLS) {
      await bench.withField([ours], { env: { NEAR_CACHE_TTL_MS: ttl } }, (field) =>
        bench.compare(
          { question: 'update', name: `τ = ${ttl} ms` },
          field.map((standing) => ({
            standing,
            traffic: traffic((n) => standing.contestant.token(subject(n)), PATCH),
          })),
        ),
      );
    }
    await bench.withField([seed, fastify], {}, (field) =>
      bench.compare(
        { question: 'update', name: 'no coherence' },
        field.map((standing) => ({
          standing,
          traffic: traffic((n) => standing.contestant.token(subject(n)), {}),
        })),
      ),
    );
  },
};

import type { Question } from '../bench';
import { type Contestant, fastify, ours, seed } from '../contestants';
import { subject } from '../dataset';
import { bearer, type Traffic } from '../load/traffic';

const USERS = 1000;

/** A day's mixture: 80 % reads of single users, 15 % list pages, 5 % updates, over 1,000 users. */
export const mixed: Question = {
  id: 'mixed',
  title: '80 % single reads, 15 % list pages, 5 % updates',
  quick: true,
  ask: (bench) =>
    bench.withField([seed, fastify, ours], {}, (field) =>
      bench.compare(
        { question: 'mixed', name: 'requests' },
        field.map((standing) => ({ standing, traffic: mixture(standing.contestant) })),
      ),
    ),
};

function mixture(contestant: Contestant): Traffic {
  const users = Array.from({ length: USERS }, (_, n) => ({
    user: subject(n),
    headers: bearer(contestant.token(subject(n))),
  }));
  const admin = bearer(contestant.token(subject(0)));
  const patch = contestant.id === 'ours' ? { 'Content-Type': 'application/merge-patch+json' } : {};
  return {
    order: 'random',
    kinds: [
      {
        weight: 80,
        requests: users.map(({ user, headers }) => ({ path: `/api/users/${user.id}`, headers })),
      },
      { weight: 15, requests: [{ path: '/api/users?limit=20', headers: admin }] },
      {
        weight: 5,
        requests: users.map(({ user, headers }, n) => ({
          method: 'PATCH',
          path: `/api/users/${user.id}`,
          headers: { ...headers, ...patch },
          body: { name: `Mixed ${n}` },
        })),
      },
    ],
  };
}

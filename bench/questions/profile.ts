import type { Question } from '../bench';
import { bare, fastify, seed } from '../contestants';
import { subject } from '../dataset';
import { bearer, one } from '../load/traffic';

/** The signed-in user's own data: what this service is asked most. */
export const profile: Question = {
  id: 'profile',
  title: 'GET /api/auth/profile, one token',
  quick: true,
  ask: (bench) =>
    bench.withField([bare, seed, fastify], {}, (field) =>
      bench.compare(
        { question: 'profile', name: 'requests' },
        field.map((standing) => ({
          standing,
          traffic: one({ path: '/api/auth/profile', headers: bearer(standing.contestant.token(subject(1))) }),
        })),
      ),
    ),
};

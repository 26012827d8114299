import type { Question } from '../bench';
import { fastify, ours, seed } from '../contestants';
import { subject } from '../dataset';
import { bearer, one } from '../load/traffic';

/** An administrator's first page of 20 users. */
export const listPage: Question = {
  id: 'list-page',
  title: 'GET /api/users?limit=20, first page',
  quick: false,
  ask: (bench) =>
    bench.withField([seed, fastify, ours], {}, (field) =>
      bench.compare(
        { question: 'list-page', name: 'requests' },
        field.map((standing) => ({
          standing,
          traffic: one({
            path: '/api/users?limit=20',
            headers: bearer(standing.contestant.token(subject(0))),
          }),
        })),
      ),
    ),
};

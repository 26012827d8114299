import type { Question } from '../bench';
import { everyone } from '../contestants';
import { subject } from '../dataset';
import { bearer, one } from '../load/traffic';

/** One user reads their own record by id: routing with a parameter, and the right to read it. */
export const userById: Question = {
  id: 'user-by-id',
  title: 'GET /api/users/:id, one token',
  quick: true,
  ask: (bench) =>
    bench.withField(everyone, {}, (field) =>
      bench.compare(
        { question: 'user-by-id', name: 'requests' },
        field.map((standing) => {
          const user = subject(1);
          return {
            standing,
            traffic: one({
              path: `/api/users/${user.id}`,
              headers: bearer(standing.contestant.token(user)),
            }),
          };
        }),
      ),
    ),
};

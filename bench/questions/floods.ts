import type { Question } from '../bench';
import { fastify, ours } from '../contestants';
import { subject } from '../dataset';
import { anyOf, bearer } from '../load/traffic';

/**
 * Requests that are cheap for an attacker must be cheap for the service: unknown paths, and tokens
 * with a wrong signature.
 */
export const floods: Question = {
  id: 'floods',
  title: 'Floods of 404 and 401',
  quick: false,
  ask: (bench) => {
    const unknown = anyOf(Array.from({ length: 1000 }, (_, n) => ({ path: `/wp-admin/${n}.php` })));
    return bench.withField([fastify, ours], {}, (field) =>
      bench.compare(
        { question: 'floods', name: 'requests' },
        field.flatMap((standing) => {
          const forged = Array.from({ length: 1000 }, (_, n) => {
            const token = standing.contestant.token(subject(n));
            return {
              path: '/api/auth/profile',
              headers: bearer(`${token.slice(0, -10)}${String(n).padStart(10, 'A')}`),
            };
          });
          return [
            { standing, traffic: unknown, options: { statuses: [404] }, name: '404' },
            { standing, traffic: anyOf(forged), options: { statuses: [401] }, name: '401' },
          ];
        }),
      ),
    );
  },
};

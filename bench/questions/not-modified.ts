import type { Question } from '../bench';
import { ours } from '../contestants';
import { subject } from '../dataset';
import { bearer, one } from '../load/traffic';

/** A client that still has the record asks whether it changed. */
export const notModified: Question = {
  id: 'not-modified',
  title: 'GET /api/users/:id with If-None-Match: 304',
  quick: true,
  ask: (bench) =>
    bench.withField([ours], {}, async (field) => {
      const turns = await Promise.all(
        field.map(async (standing) => {
          const user = subject(1);
          const path = `/api/users/${user.id}`;
          const headers = bearer(standing.contestant.token(user));
          const etag = (await fetch(standing.url + path, { headers })).headers.get('etag') ?? '';
          const traffic = one({ path, headers: { ...headers, 'If-None-Match': etag } });
          return { standing, traffic, options: { statuses: [304] } };
        }),
      );
      await bench.compare({ question: 'not-modified', name: 'requests' }, turns);
    }),
};

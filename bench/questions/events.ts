import { join } from 'node:path';
import type { Question } from '../bench';
import { type Contestant, ours } from '../contestants';
import { subject } from '../dataset';
import { bearer, eachOf } from '../load/traffic';

const USERS = 500;
/** Few: every answer must be a change, none a refusal. */
const CONNECTIONS = 8;
const program = join(__dirname, '..', 'peers', 'without-events.js');

/** Not its bundle, whose driver nobody can reach from outside. */
const unbundled: Contestant = {
  ...ours,
  launch: (settings, workers, env) => ({
    ...ours.launch(settings, workers, env),
    args: [join(__dirname, '..', '..', 'src', 'main.js')],
  }),
};

/** The same service, whose writes leave no events behind. */
const withoutEvents: Contestant = {
  ...unbundled,
  id: 'without-events',
  letter: 'e−',
  title: '(e) without events',
  launch: (settings, workers, env) =>
    unbundled.launch(settings, workers, { ...env, NODE_OPTIONS: `--require ${program}` }),
};

/** What it costs that each change carries its event, and that the event is moved to the log. */
export const events: Question = {
  id: 'events',
  title: 'PATCH /api/users/:id, with and without events',
  quick: false,
  async ask(bench) {
    await bench.withField(
      [unbundled, withoutEvents],
      { env: { NEAR_CACHE_TTL_MS: '0' } },
      (field) =>
        bench.compare(
          { question: 'events', name: 'changes' },
          field.map((standing) => ({
            standing,
            options: { connections: CONNECTIONS },
            // A name that is the user's already would not be written; each contestant's has as many
            // words and letters, which the search keys follow.
            traffic: eachOf(
              ['Ada', 'Grace'].flatMap((name) =>
                Array.from({ length: USERS }, (_, n) => ({
                  method: 'PATCH',
                  path: `/api/users/${subject(n + 10).id}`,
                  headers: {
                    ...bearer(standing.contestant.token(subject(n + 10))),
                    'Content-Type': 'application/merge-patch+json',
                  },
                  body: { name: `${name} ${standing.contestant.id.slice(0, 4)}` },
                })),
              ),
            ),
          })),
        ),
    );
  },
};

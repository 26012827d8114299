import type { Question } from '../bench';
import { bare, ours, sharedPorts } from '../contestants';
import { profileReads } from './profile-reads';

/**
 * Keep-alive off: each request comes on a connection of its own, which the primary accepts and
 * hands to a worker. With two workers also Node's own ways: the primary's round robin, one
 * listening socket for all, and a listening socket for each.
 */
export const connections: Question = {
  id: 'connections',
  title: 'One request per connection',
  quick: false,
  async ask(bench) {
    for (const workers of [1, 2]) {
      await bench.withField(
        workers === 1 ? [bare, ours] : [...sharedPorts, ours],
        { workers },
        (field) =>
          bench.compare(
            { question: 'connections', name: `${workers} ${workers === 1 ? 'worker' : 'workers'}` },
            field.map((standing) => ({
              standing,
              traffic: profileReads(standing),
              options: { requestsPerConnection: 1 },
            })),
          ),
      );
    }
  },
};

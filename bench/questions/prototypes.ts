import type { Question, Turn } from '../bench';
import { expressFast, expressPlain } from '../contestants';
import { one } from '../load/traffic';

/**
 * Whether messages born with Express's prototypes still pay on this Node: an empty app, with and
 * without.
 */
export const prototypes: Question = {
  id: 'prototypes',
  title: "An empty Express app, with and without the messages' constructors",
  quick: false,
  ask: (bench) =>
    bench.withField([expressPlain, expressFast], {}, (field) =>
      bench.compare(
        { question: 'prototypes', name: 'requests' },
        field.map((standing): Turn => ({ standing, traffic: one({ path: '/api/auth/profile' }) })),
      ),
    ),
};

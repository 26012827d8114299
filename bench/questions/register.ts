import type { Question } from '../bench';
import { fastify, ours, seed } from '../contestants';
import { eachOf } from '../load/traffic';

/**
 * New accounts: one hash and one acknowledged, journaled write each (the peers' writes are not
 * journaled).
 */
export const register: Question = {
  id: 'register',
  title: 'POST /api/auth/register',
  quick: false,
  ask: (bench) =>
    bench.withField([seed, fastify, ours], {}, async (field) => {
      let serial = 0;
      for (let round = 0; round < bench.options.rounds; round += 1) {
        for (const standing of field) {
          serial += 1;
          const traffic = eachOf(Array.from({ length: 2000 }, (_, n) => newAccount(serial, n)));
          const perSecond = await bench.closed(standing, traffic, {
            statuses: [201],
            connections: 8,
          });
          bench.record(
            { question: 'register', name: 'requests', unit: 'req/s' },
            standing,
            perSecond,
          );
        }
      }
    }),
};

const newAccount = (serial: number, n: number) => ({
  method: 'POST',
  path: '/api/auth/register',
  body: {
    name: 'New User',
    email: `new-${process.pid}-${serial}-${n}@bench.invalid`,
    password: `a new passphrase ${n}`,
  },
});

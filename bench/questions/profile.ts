import type { Question } from '../bench';
import { everyone } from '../contestants';
import { profileReads } from './profile-reads';

/** The profile of the signed-in user: the most frequent request. */
export const profile: Question = {
  id: 'profile',
  title: 'GET /api/auth/profile, one token',
  quick: true,
  ask: (bench) =>
    bench.withField(everyone, {}, async (field) => {
      await bench.compare(
        { question: 'profile', name: 'requests' },
        field.map((standing) => ({
          standing,
          traffic: profileReads(standing),
        })),
      );
      for (const standing of field) {
        bench.record(
          { question: 'profile', name: 'memory per worker', unit: 'MB' },
          standing,
          standing.workerMegabytes(),
        );
        bench.record(
          { question: 'profile', name: 'start to first answer', unit: 'ms' },
          standing,
          standing.startMs,
        );
      }
    }),
};

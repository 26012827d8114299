import type { Connection } from 'mongoose';
import { ACTIVE, claimable, jobsOf, untold } from '../../platform/jobs/job-document';
import type { QueryShape } from '../../platform/mongo/explain';

export function jobQueryShapes(
  connection: Connection,
  { timeoutMs }: { timeoutMs: number },
): QueryShape[] {
  const jobs = jobsOf(connection);
  const bounded = { maxTimeMS: timeoutMs };
  return [
    {
      name: 'jobs that have not ended',
      explain: () => jobs.find({ state: { $in: [...ACTIVE] } }, bounded).explain('queryPlanner'),
    },
    {
      name: 'jobs of an actor',
      explain: () =>
        jobs
          .find({ actor: 'cli:import' }, { ...bounded, sort: { createdAt: -1 } })
          .explain('queryPlanner'),
    },
    {
      name: 'jobs that were cancelled by somebody',
      explain: () => jobs.find({ cancelledBy: 'cli:import' }, bounded).explain('queryPlanner'),
    },
    {
      name: 'ends of jobs that were not told',
      explain: () => jobs.find(untold(['users.import']), bounded).explain('queryPlanner'),
    },
    {
      name: 'a job to claim',
      explain: () =>
        jobs
          .find(claimable(['users.import']), {
            ...bounded,
            sort: { createdAt: 1, _id: 1 },
            limit: 1,
          })
          .explain('queryPlanner'),
    },
  ];
}

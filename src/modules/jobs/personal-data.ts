import { z } from 'zod';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import { JOB_STATES } from '../../platform/jobs/job';
import { type JobStore, OF_ACTOR_MAX } from '../../platform/jobs/job-store';
import type { PersonalData } from '../../platform/module';

const personalJob = z.object({
  id: shownId('Id of a job that the user has started.'),
  kind: shownText(64, 'The kind of work.', 'users.import'),
  state: z.enum(JOB_STATES).meta({ description: 'Its state.' }),
  created_at: shownTime('When it was started.'),
});

export const createJobExport = (store: Pick<JobStore, 'ofActor'>): PersonalData => ({
  schema: { jobs: z.array(personalJob).max(OF_ACTOR_MAX) },
  async read(userId) {
    const jobs = (await store.ofActor(userId)).map(({ id, kind, state, createdAt }) => ({
      id,
      kind,
      state,
      created_at: createdAt.toISOString(),
    }));
    return { jobs };
  },
});

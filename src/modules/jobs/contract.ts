import { z } from 'zod';
import { endpoint } from '../../platform/http/endpoint';
import { objectId } from '../../platform/http/fields';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import { isFinal, JOB_STATES, type Job } from '../../platform/jobs/job';

const count = (description: string) =>
  z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .meta({ description, examples: [1] });

const jobView = z
  .object({
    id: shownId('Id of the job.'),
    kind: shownText(64, 'The kind of work.', 'users.import'),
    state: z.enum(JOB_STATES).meta({
      description: '`done`, `failed` and `cancelled` are final.',
      examples: ['running'],
    }),
    cancelling: z
      .boolean()
      .meta({ description: 'Whether it was asked to stop and has not yet.', examples: [false] }),
    progress: z
      .object({
        total: count('Records in the file.'),
        done: count('Records that were worked through.'),
        created: count('Users that were made.'),
        updated: count('Users that were changed.'),
        unchanged: count('Users that were so already.'),
        skipped: count('Users that exist and were left alone.'),
        refused: count('Records that were not taken.'),
        reported: count('Lines of the report.'),
      })
      .meta({
        id: 'JobProgress',
        description: 'Of a dry run: the counts that an import would reach.',
      }),
    failure: z
      .object({
        code: shownText(64, 'Stable snake_case code.', 'user_exists'),
        message: shownText(500, 'The failure in words.', 'The user of line 3 exists already.'),
      })
      .nullable()
      .meta({ description: 'Why it failed; null where it did not.' }),
    created_at: shownTime('When its file was sent.'),
    started_at: shownTime('When it was first worked on; null before.').nullable(),
    ended_at: shownTime('When it ended; null before.').nullable(),
    kept_until: shownTime('When it and its report are removed; null before it ended.').nullable(),
  })
  .meta({ id: 'Job' });

/** OpenAPI 3.1 has no words for a stream: tools take the schema for that of one event. */
const jobEvent = z
  .object({
    id: shownText(64, 'For `Last-Event-ID`.', '5'),
    event: z.enum(['progress', 'end']).meta({ description: 'The last is `end`.' }),
    data: shownText(10_000, 'A job as JSON.', '{"state":"done"}'),
  })
  .meta({ id: 'JobEvent', description: 'One event of the stream.' });

export type JobView = z.output<typeof jobView>;

export const viewOfJob = (job: Job): JobView => ({
  id: job.id,
  kind: job.kind,
  state: job.state,
  cancelling: job.isCancelling && !isFinal(job),
  progress: { ...job.progress },
  failure: job.failure ?? null,
  created_at: job.createdAt.toISOString(),
  started_at: job.startedAt?.toISOString() ?? null,
  ended_at: job.endedAt?.toISOString() ?? null,
  kept_until: job.until?.toISOString() ?? null,
});

const common = {
  tag: 'bulk',
  access: 'user',
  permission: 'users:import',
  params: z.strictObject({ id: objectId }),
} as const;
const job = { description: 'The job.', schema: jobView };

export const jobEndpoints = {
  get: endpoint({
    ...common,
    method: 'get',
    path: '/api/jobs/:id',
    id: 'getJob',
    summary: 'Read the state and the progress of a job',
    answers: { 200: job },
    problems: ['job_not_found'],
  }),
  cancel: endpoint({
    ...common,
    method: 'post',
    path: '/api/jobs/:id/cancel',
    id: 'cancelJob',
    summary: 'Stop a job; its changes so far stay',
    idempotencyKey: false,
    answers: { 202: job },
    problems: ['job_not_found'],
  }),
  events: endpoint({
    ...common,
    method: 'get',
    path: '/api/jobs/:id/events',
    id: 'watchJob',
    summary: 'Follow a job by server-sent events, to its end',
    waits: true,
    produces: ['text/event-stream'],
    answers: {
      200: {
        description:
          'Events `progress` and, at the end, `end`; the data of each is a job as JSON. `Last-Event-ID` is honoured.',
        schema: jobEvent,
      },
      204: { description: 'The event of `Last-Event-ID` was the last one.' },
    },
    problems: ['job_not_found', 'too_many_streams'],
  }),
  report: endpoint({
    ...common,
    method: 'get',
    path: '/api/jobs/:id/report',
    id: 'readJobReport',
    summary: 'Read the records that were not taken, with the reasons',
    waits: true,
    produces: ['application/x-ndjson'],
    answers: {
      200: {
        description:
          'One line for each record that was not taken, with its line, a code and the record as it was sent (passwords too). Put right, the lines can be imported; one that could not be read has `text` for `record`, to put right as JSON, or of a CSV file as CSV under its `columns`. A user needs a recent login; a service account reads the reports of its own jobs alone. Each reading is in the audit log.',
        schema: shownText(
          1_000_000_000,
          'The report.',
          '{"line":3,"code":"email_taken","message":"…","record":{}}\n',
        ),
      },
    },
    problems: ['job_not_found', 'insufficient_user_authentication'],
  }),
} as const;

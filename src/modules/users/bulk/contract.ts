import { z } from 'zod';
import { endpoint } from '../../../platform/http/endpoint';
import { flag } from '../../../platform/http/parameters';
import { shownId } from '../../../platform/http/view-schemas';
import { FORMATS, MEDIA_TYPES } from './format';

const choice = <const T extends readonly [string, ...string[]]>(values: T, description: string) =>
  z.enum(values).optional().meta({ description });

const queuedJob = z
  .object({
    id: shownId('Id of the job.'),
    state: z.enum(['queued']).meta({ description: 'State of the job.' }),
    records: z
      .int()
      .min(1)
      .max(2_147_483_647)
      .meta({ description: 'Records in the file.', examples: [1000] }),
  })
  .meta({ id: 'QueuedImport' });

const EXAMPLES = {
  [MEDIA_TYPES.ndjson]: '{"name":"Ada Lovelace","email":"ada@example.org"}\n',
  [MEDIA_TYPES.csv]: 'name,email\nAda Lovelace,ada@example.org\n',
};

interface BulkLimits {
  readonly uploadTimeoutMs: number;
  readonly maxBytes: number;
}

/** The bulk operations of the users' part of the contract. */
export const bulkEndpoints = (options: BulkLimits) => ({
  import: endpoint({
    method: 'post',
    path: '/api/users/import',
    id: 'importUsers',
    summary: 'Import users from an NDJSON or CSV file, as a job',
    tag: 'bulk',
    access: 'user',
    permission: 'users:import',
    idempotencyKey: false,
    query: z.strictObject({
      conflict: choice(
        ['skip', 'update', 'fail'],
        'How to treat a user that exists: leave it (`skip`, the default), change the members that the record names, or stop the job.',
      ),
      match: choice(
        ['email', 'external_id'],
        'The member by which a user is recognised; default `email`.',
      ),
      dry_run: flag()
        .optional()
        .meta({ description: '`true`: check and report, and write nothing.' }),
    }),
    waits: true,
    upload: { timeoutMs: options.uploadTimeoutMs, maxBytes: options.maxBytes },
    consumes: Object.values(MEDIA_TYPES),
    documentedBody: z.string().meta({
      description:
        'One user per line (or CSV record), also as gzip (`Content-Encoding`). Members: name, email, email_verified, password or password_hash, role, status, ban, password_change_required, external_id, user_metadata, app_metadata, private_metadata, created_at. With `conflict=update`, members that are absent stay as they are; null takes external_id away, and with `status` `banned` the end and reason of a ban. A line of a report stands for its `record`, or for its `text`, which is JSON, or CSV where the line has `columns`.',
      minLength: 1,
      maxLength: 1_000_000_000,
    }),
    examples: EXAMPLES,
    answers: {
      202: {
        description: 'The file is stored, and the job waits.',
        schema: queuedJob,
        headers: { Location: 'Path of the job.' },
      },
    },
    problems: [
      ...(['body_required', 'validation_failed', 'too_many_jobs', 'busy'] as const),
      'insufficient_user_authentication',
    ],
  }),
  export: endpoint({
    method: 'get',
    path: '/api/users/export',
    id: 'exportUsers',
    summary: 'Export every user with password hash and metadata, as a stream',
    tag: 'bulk',
    access: 'user',
    permission: 'users:export',
    query: z.strictObject({ format: choice(FORMATS, 'Form of the file; `ndjson` unless given.') }),
    waits: true,
    produces: Object.values(MEDIA_TYPES),
    examples: EXAMPLES,
    answers: {
      200: {
        description:
          'One user per line, in the order of their ids, each as it is when it is read: users that are made meanwhile may be missing. The file can be imported again, with bans and demanded changes of passwords.',
        schema: z.string().meta({ description: 'The file.', maxLength: 1_000_000_000 }),
      },
    },
    problems: ['insufficient_user_authentication'],
  }),
});

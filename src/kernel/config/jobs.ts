import { flag, integer, setting } from './setting';

export const jobs = {
  run: setting(
    'JOBS_RUN',
    flag(),
    'true',
    'Whether the workers of this host run jobs (imports); at least one host of a deployment must.',
  ),
  leaseMs: setting(
    'JOBS_LEASE_MS',
    integer(1000, 600_000),
    '15000',
    'How long after the death of its worker a job waits until another one goes on with it, in ms.',
  ),
  pollMs: setting(
    'JOBS_POLL_MS',
    integer(50, 60_000),
    '2000',
    'How often a worker looks for jobs, in ms.',
  ),
  activeMax: setting(
    'JOBS_ACTIVE_MAX',
    integer(1, 1000),
    '20',
    'Maximum number of jobs that wait or run, over all hosts; further ones get 429.',
  ),
  keepHours: setting(
    'JOBS_KEEP_HOURS',
    integer(1, 8760),
    '72',
    'How long a finished job and its report are kept, in hours; its input is removed when it ends.',
  ),
  importMaxBytes: setting(
    'IMPORT_MAX_BYTES',
    integer(1024, 107_374_182_400),
    '1073741824',
    'Largest file of an import, after decompression, in bytes.',
  ),
  importMaxLines: setting(
    'IMPORT_MAX_LINES',
    integer(1, 100_000_000),
    '5000000',
    'Maximum number of records in one import.',
  ),
  importUploadTimeoutMs: setting(
    'IMPORT_UPLOAD_TIMEOUT_MS',
    integer(1000, 86_400_000),
    '3600000',
    'Longest time of the upload of one import, in ms; REQUEST_TIMEOUT_MS does not bound it.',
  ),
} as const;

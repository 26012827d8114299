import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline as connected, PassThrough, Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { loadConfig } from '../../kernel/config/config';
import { PERMISSIONS } from '../../kernel/permissions';
import { isFinal, type Job } from '../../platform/jobs/job';
import { createLogger } from '../../platform/telemetry/logger';
import { parseArguments } from './arguments';
import { commandCause } from './audit';
import { type CommandModules, withModules } from './modules';
import { progressOn, type Show } from './progress';
import { asksForHelp, exitCodesHelp, runCli, UsageError, unknownCommand } from './run';

const HELP = `Usage: npm run users -- import FILE [OPTIONS]
       npm run users -- export FILE [--format ndjson|csv]
In an image without npm: node dist/cli/users.js COMMAND …

import  stores the users of the file
  --conflict skip|update|fail   a user that exists is left alone (default), changed, or
                                ends the import
  --match email|external_id     how a user that exists is found (email)
  --format ndjson|csv           default: by the name of the file
  --report FILE                 default: FILE.report.ndjson
  --dry-run                     checks the records, and writes nothing
export  writes every user, with hashes and metadata; - is standard output

The names .ndjson, .jsonl and .csv say the format; .gz after it stands for gzip. An import is a job
in the database that the service would use with the same settings: this command runs it, and if it
is killed, a worker of the service continues. Records that are refused are written to the report,
which can be corrected and imported again. Both commands are in the audit log as cli:USER.

${exitCodesHelp('the import has ended, and some records were refused (see the report)')}`;

const SOME_REFUSED = 1;
const POLL_MS = 300;
const IMPORT_OPTIONS = {
  ...({ conflict: 'string', match: 'string', format: 'string', report: 'string' } as const),
  'dry-run': 'boolean',
} as const;

type Options = ReadonlyMap<string, string>;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (asksForHelp(argv)) return void process.stdout.write(HELP);
  const [command, ...rest] = argv;
  if (command !== 'import' && command !== 'export')
    throw new UsageError(`${unknownCommand(command)}\n\n${HELP}`);
  const { words, options } = parseArguments(
    rest,
    command === 'import' ? IMPORT_OPTIONS : { format: 'string' as const },
  );
  const [file, ...more] = words;
  if (file === undefined || more.length > 0) throw new UsageError('Name one file.');
  const work =
    command === 'import'
      ? await importing(file, options)
      : exporting(file, formatOf(file, options));
  await withModules(
    loadConfig(),
    createLogger({ level: 'warn', name: 'users' }, process.stderr),
    work,
  );
}

function choice<const T extends readonly string[]>(
  options: Options,
  name: string,
  allowed: T,
): T[number] {
  const given = options.get(name) ?? (allowed[0] as T[number]);
  if (allowed.includes(given)) return given;
  throw new UsageError(`--${name} must be one of ${allowed.join(', ')}.`);
}

function formatOf(file: string, options: Options): 'ndjson' | 'csv' {
  const [, ending] = /\.(csv|ndjson|jsonl)(?:\.gz)?$/i.exec(file) ?? [];
  // Every line of a CSV file that is read as NDJSON is refused.
  if (ending === undefined && file !== '-' && !options.has('format'))
    throw new UsageError(`The name ${file} tells no format: add --format csv or --format ndjson.`);
  const isCsv = ending?.toLowerCase() === 'csv';
  return choice(options, 'format', isCsv ? ['csv', 'ndjson'] : ['ndjson', 'csv']);
}

async function importing(file: string, options: Options) {
  const order = {
    format: formatOf(file, options),
    conflict: choice(options, 'conflict', ['skip', 'update', 'fail']),
    match: choice(options, 'match', ['email', 'external_id']),
    dryRun: options.has('dry-run'),
  };
  const reportPath = options.get('report') ?? `${file}.report.ndjson`;
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || found.isDirectory())
    throw new UsageError(`${file} cannot be read: it is no file.`);
  return async ({ users, jobs, where }: CommandModules): Promise<void> => {
    const { actor: userId, client } = commandCause();
    const actor = { userId, permissions: PERMISSIONS, isService: false };
    const show = progressOn(process.stderr);
    const bytes = bytesOf(file, found.size, show);
    const job = await users.bulk.requestImport(bytes, { ...order, actor }, client);
    jobs.start(users.jobs ?? {});
    const ended = await watch(job, jobs.store.find, show);
    const reported = await writeReport(ended, jobs.report(job.id), reportPath);
    process.stdout.write(`${summaryOf(ended, order.dryRun)} (${where}).\n`);
    if (reported) process.stdout.write(`Records that were refused: ${reportPath}\n`);
    if (ended.state !== 'done') throw new Error(ended.failure?.message ?? `it was ${ended.state}`);
    if ((ended.progress['refused'] ?? 0) > 0) process.exitCode = SOME_REFUSED;
  };
}

async function* bytesOf(file: string, size: number, show: Show): AsyncGenerator<Buffer> {
  const source = createReadStream(file);
  const decoder = isGzip(file) ? createGunzip() : new PassThrough();
  const decoded = connected(source, decoder, () => undefined);
  try {
    for await (const bytes of decoded) {
      show('reading', source.bytesRead, size);
      yield bytes as Buffer;
    }
  } catch (error) {
    // The job is queued when the whole file is there.
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${file} cannot be read: ${reason}. Nothing was imported.`);
  }
}

const isGzip = (file: string): boolean => /\.gz$/i.test(file);

async function watch(
  { id }: Job,
  find: (id: string) => Promise<Job | null>,
  show: Show,
): Promise<Job> {
  for (;;) {
    const job = await find(id);
    if (job === null) throw new Error('the job was removed');
    const { done = 0, total = 0 } = job.progress;
    show('importing', done, total);
    if (isFinal(job)) return job;
    await delay(POLL_MS);
  }
}

async function writeReport(
  { progress }: Job,
  report: AsyncIterable<Buffer>,
  file: string,
): Promise<boolean> {
  if ((progress['reported'] ?? 0) === 0) return false;
  // It may contain passwords.
  await pipeline(Readable.from(report), createWriteStream(file, { mode: 0o600 }));
  return true;
}

const summaryOf = ({ progress, state }: Job, dryRun: boolean): string => {
  const counts = ['created', 'updated', 'unchanged', 'skipped', 'refused']
    .map((name) => `${progress[name] ?? 0} ${name}`)
    .join(', ');
  return `${dryRun ? 'Dry run' : 'Import'} ${state}: ${counts}`;
};

const exporting =
  (file: string, format: 'ndjson' | 'csv') =>
  async ({ users, where }: CommandModules): Promise<void> => {
    const lines = Readable.from(users.bulk.exportUsers({ ...commandCause(), format }));
    const target: Writable =
      file === '-' ? process.stdout : createWriteStream(file, { mode: 0o600, flags: 'wx' });
    if (isGzip(file)) await pipeline(lines, createGzip(), target);
    else await pipeline(lines, target, { end: file !== '-' });
    process.stderr.write(`Users exported (${where}).\n`);
  };

runCli(main);

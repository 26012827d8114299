import { type FieldError, problems } from '../../../kernel/errors';
import { bodyTooLarge } from '../../../platform/http/json-body';
import type { Job } from '../../../platform/jobs/job';
import type { JobFiles } from '../../../platform/jobs/job-files';
import type { JobStore } from '../../../platform/jobs/job-store';
import { packChunk } from './chunk';
import { parseCsv } from './csv';
import { COLUMNS } from './csv-record';
import { type Format, RECORD_MAX_BYTES } from './format';
import { createSplitter, type SplitRecord } from './split';

export const IMPORT_KIND = 'users.import';

/** The options of an import, besides its file. */
export interface ImportOrder {
  readonly format: Format;
  readonly conflict: 'skip' | 'update' | 'fail';
  readonly match: 'email' | 'external_id';
  readonly dryRun: boolean;
  /** The account that ordered it, and its permissions then: later it may do no more than these. */
  readonly actor: {
    readonly userId: string;
    readonly permissions: readonly string[];
    readonly isService: boolean;
  };
}

export interface IntakeOptions {
  readonly store: Pick<JobStore, 'receive' | 'stillReceiving' | 'queue' | 'remove'>;
  readonly files: Pick<JobFiles, 'put' | 'remove'>;
  readonly maxBytes: number;
  readonly maxLines: number;
  readonly aliveEveryMs?: number;
}

const CHUNK_RECORDS = 500;
const CHUNK_BYTES = 262_144;
/** A slow upload shows that it is alive this often. */
const ALIVE_MS = 20_000;

/**
 * Stores an uploaded file in chunks of whole records, as it arrives, and queues the job when it is
 * complete. A file that breaks off or is refused leaves nothing.
 */
export function createIntake(options: IntakeOptions) {
  const { store, files, maxBytes, maxLines, aliveEveryMs = ALIVE_MS } = options;
  return async (bytes: AsyncIterable<Buffer>, order: ImportOrder): Promise<Job> => {
    const params = { ...order, columns: [] };
    const { id } = await store.receive({ kind: IMPORT_KIND, actor: order.actor.userId, params });
    try {
      const { columns, chunks, records } = await storeFile(id, bytes, order.format);
      const job = await store.queue(id, { ...order, columns, chunks }, { total: records, done: 0 });
      if (job === null) throw problems.unavailable('busy', 'The upload took too long.', 1);
      return job;
    } catch (error) {
      // A sweep removes later what fails now.
      await files.remove(id).catch(() => undefined);
      await store.remove(id).catch(() => undefined);
      throw error;
    }
  };

  async function storeFile(id: string, source: AsyncIterable<Buffer>, format: Format) {
    const splitter = createSplitter(format, RECORD_MAX_BYTES);
    let columns: readonly string[] | undefined = format === 'csv' ? undefined : [];
    let waiting: SplitRecord[] = [];
    let waitingBytes = 0;
    let [chunks, records] = [0, 0];

    async function flush(): Promise<void> {
      if (waiting.length === 0) return;
      const data = packChunk(waiting);
      [waiting, waitingBytes] = [[], 0];
      await files.put(id, 'input', chunks, { data, meta: {} }, 0);
      chunks += 1;
    }

    async function take(record: SplitRecord): Promise<void> {
      if (columns === undefined) {
        columns = columnsOf(record);
        return;
      }
      records += 1;
      if (records > maxLines) throw tooManyLines(maxLines);
      waiting.push(record);
      waitingBytes += record.bytes.length;
      if (waiting.length >= CHUNK_RECORDS || waitingBytes >= CHUNK_BYTES) await flush();
    }

    const showAlive = every(aliveEveryMs, () => store.stillReceiving(id));
    for await (const part of withinBytes(source, maxBytes)) {
      await showAlive();
      for (const record of splitter.push(part)) await take(record);
      if (splitter.blankLines() > maxLines) throw tooManyLines(maxLines);
    }
    for (const record of splitter.end()) await take(record);
    await flush();
    if (records === 0) throw problems.malformed('body_required', 'The file has no records.');
    return { columns: columns ?? [], chunks, records };
  }
}

async function* withinBytes(source: AsyncIterable<Buffer>, maxBytes: number) {
  let size = 0;
  for await (const part of source) {
    size += part.length;
    if (size > maxBytes) throw bodyTooLarge(maxBytes);
    yield part;
  }
}

/** Does the work where it was not done for so long. */
function every(ms: number, work: () => Promise<unknown>): () => Promise<void> {
  let doneMs = performance.now();
  return async () => {
    if (performance.now() - doneMs < ms) return;
    doneMs = performance.now();
    await work();
  };
}

const tooManyLines = (maxLines: number) =>
  problems.invalid([
    {
      pointer: '',
      code: 'too_big',
      message: `must have at most ${maxLines} records`,
      params: { max: maxLines },
    },
  ]);

/** Throws 422 for a header that names a column wrongly, twice or not at all. */
function columnsOf({ bytes, isTooLong }: SplitRecord): readonly string[] {
  const fields = isTooLong ? undefined : parseCsv(bytes.toString('utf8'));
  const columns = fields?.map((field) => field.trim());
  if (columns === undefined)
    throw problems.invalid([
      { pointer: '', code: 'wrong_format', message: 'must begin with a header of column names' },
    ]);
  const errors = columns.flatMap((name, i): FieldError[] => {
    const pointer = `/${i}`;
    if (!COLUMNS.includes(name))
      return [{ pointer, code: 'unknown_field', message: 'is not a known column' }];
    return columns.indexOf(name) < i
      ? [{ pointer, code: 'duplicate_member', message: 'must not occur twice' }]
      : [];
  });
  if (errors.length > 0) throw problems.invalid(errors.slice(0, 50));
  return columns;
}

import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Connection, mongo } from 'mongoose';
import {
  decryptWithAny,
  type Encrypted,
  encryptForAll,
  type Secrets,
} from '../../kernel/crypto/encryption';
import { boundCalls, DRIVER_GRACE_MS } from '../mongo/bounded';
import { isDuplicateKey } from '../mongo/errors';
import { afterNow, asLiterals } from '../mongo/expressions';

export const JOB_FILES_COLLECTION = 'job_files';

type JobFile = 'input' | 'report';

interface Part {
  readonly data: Buffer;
  /** Plain facts about the part, for its reader. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/**
 * The input and the report of jobs, in parts that each fit into memory. They are in MongoDB, where
 * every host finds them, compressed and encrypted: they may contain passwords.
 */
export interface JobFiles {
  /** Writing a part again replaces it, unless a holder with a later claim wrote it. */
  put(job: string, file: JobFile, n: number, part: Part, fence: number): Promise<void>;
  /** The data as gzip. Null: there is no such part. */
  getCompressed(job: string, file: JobFile, n: number): Promise<Part | null>;
  get(job: string, file: JobFile, n: number): Promise<Part | null>;
  /** The numbers of the parts, in order, from the one after `n`; at most `limit`. */
  numbersAfter(job: string, file: JobFile, n: number, limit: number): Promise<readonly number[]>;
  /** Both files without `file`. */
  remove(job: string, file?: JobFile): Promise<void>;
}

interface PartDocument {
  /** JOB:FILE:NUMBER, the number with leading zeros: the parts of a file are one range. */
  _id: string;
  n: number;
  fence: number;
  meta: Record<string, unknown>;
  /** The data: gzip, then AES-256-GCM. */
  encrypted: StoredEncrypted;
  /** The last resort, where the removal with the job has failed. */
  until: Date;
}
interface StoredEncrypted {
  salt: mongo.Binary;
  iv: mongo.Binary;
  tag: mongo.Binary;
  data: mongo.Binary;
  also?: StoredEncrypted;
}

export interface JobFilesOptions {
  readonly secrets: Secrets;
  readonly timeoutMs: number;
  /** As long as a job is kept that has ended. */
  readonly keepMs: number;
}

/** Longer than any job takes: a report is begun long before its job ends. */
const LONGEST_JOB_MS = 30 * 86_400_000;
const compress = promisify<Buffer, { level: number }, Buffer>(gzip);
const decompress = promisify<Buffer, Buffer>(gunzip);

export function createJobFiles(
  connection: Connection,
  { secrets, timeoutMs, keepMs }: JobFilesOptions,
): JobFiles {
  const parts = () => connection.collection<PartDocument>(JOB_FILES_COLLECTION);
  const bounded = { maxTimeMS: timeoutMs } as const;

  const files: JobFiles = {
    async put(job, file, n, { data, meta }, fence) {
      const _id = idOf(job, file, n);
      const encrypted = encryptForAll(secrets, _id, await compress(data, { level: 1 }));
      const part = { n, fence, meta, encrypted };
      const update = [{ $set: { ...asLiterals(part), until: afterNow(LONGEST_JOB_MS + keepMs) } }];
      try {
        await parts().updateOne({ _id, fence: { $lte: fence } }, update, {
          upsert: true,
          ...bounded,
        });
      } catch (error) {
        // A holder with a later claim has written it.
        if (!isDuplicateKey(error)) throw error;
      }
    },
    async getCompressed(job, file, n) {
      const _id = idOf(job, file, n);
      const found = await parts().findOne({ _id }, bounded);
      if (found === null) return null;
      return { data: decryptWithAny(secrets, _id, read(found.encrypted)), meta: found.meta };
    },
    async get(job, file, n) {
      const part = await files.getCompressed(job, file, n);
      return part === null ? null : { ...part, data: await decompress(part.data) };
    },
    async numbersAfter(job, file, n, limit) {
      const range = { $gt: idOf(job, file, n), $lt: `${job}:${file};` };
      const found = await parts()
        .find({ _id: range }, { projection: { n: 1 }, sort: { _id: 1 }, limit, ...bounded })
        .toArray();
      return found.map((part) => part.n);
    },
    async remove(job, file) {
      // ';' follows ':' in ASCII.
      const prefix = file === undefined ? job : `${job}:${file}`;
      for (;;) {
        // In steps, so that each ends within its time.
        const range = { $gt: `${prefix}:`, $lt: `${prefix};` };
        const some = await parts()
          .find({ _id: range }, { projection: { _id: 1 }, limit: REMOVE_AT_ONCE, ...bounded })
          .toArray();
        if (some.length === 0) return;
        await parts().deleteMany({ _id: { $in: some.map(({ _id }) => _id) } }, bounded);
      }
    },
  };
  const { remove, ...single } = files;
  return { ...boundCalls(single, 2 * timeoutMs + DRIVER_GRACE_MS), remove };
}

const REMOVE_AT_ONCE = 500;

const idOf = (job: string, file: JobFile, n: number) =>
  `${job}:${file}:${String(n).padStart(9, '0')}`;

function read({ salt, iv, tag, data, also }: StoredEncrypted): Encrypted {
  const bytes = (value: mongo.Binary) => Buffer.from(value.buffer.subarray(0, value.position));
  const plain = { salt: bytes(salt), iv: bytes(iv), tag: bytes(tag), data: bytes(data) };
  return also === undefined ? plain : { ...plain, also: read(also) };
}

const NUMBERS_AT_ONCE = 1000;

/** The parts of a report in their order. */
export async function* readReport(
  files: Pick<JobFiles, 'numbersAfter' | 'get'>,
  job: string,
): AsyncGenerator<Buffer> {
  for (let last = -1; ; ) {
    const numbers = await files.numbersAfter(job, 'report', last, NUMBERS_AT_ONCE);
    if (numbers.length === 0) return;
    for (const n of numbers) {
      const part = await files.get(job, 'report', n);
      if (part !== null) yield part.data;
      last = n;
    }
  }
}

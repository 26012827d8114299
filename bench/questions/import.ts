import bcrypt from 'bcrypt';
import type { Bench, Question } from '../bench';
import { ours } from '../contestants';
import { email, PASSWORD, seedUsers } from '../dataset';
import type { Standing } from '../field';
import type { Figure } from '../figures';
import { type Histogram, merge, quantile } from '../load/histogram';
import { BCRYPT_COST } from '../peers/settings';
import { profileReads } from './profile-reads';

const WORKERS = 2;
const READS_PER_SECOND = 100;
/** `IMPORT_LINES=1000000` for a million. */
const LINES = Number(process.env['IMPORT_LINES'] ?? 100_000);
const IDLE_SECONDS = 20;
const PART_LINES = 5000;
const POLL_MS = 500;

/** An import of hashed users, its speed and memory, and its effect on reads of other users. */
export const importUsers: Question = {
  id: 'import',
  title: `An import of ${LINES} users with hashes, and profile reads meanwhile`,
  quick: false,
  async ask(bench) {
    await seedUsers(bench.stores.mongodbUri, 1000);
    await bench.withField([ours], { workers: WORKERS }, async (field) => {
      for (const [n, standing] of field.entries()) await turn(bench, standing, n);
    });
  },
};

async function turn(bench: Bench, standing: Standing, n: number): Promise<void> {
  const reads = profileReads(standing);
  // A service that has just started is slower than during the import.
  await bench.warm({ standing, traffic: reads });
  const idle = await bench.open(standing, reads, READS_PER_SECOND, { seconds: IDLE_SECONDS });
  const token = await signIn(standing);
  const id = await upload(standing, token, n);
  bench.say(`  ${LINES} lines are stored, the import runs`);
  const began = performance.now();
  const memory: number[] = [standing.workerMegabytes()];
  let done = false;
  const watching = watch(standing, token, id, memory).finally(() => {
    done = true;
  });
  const busy: number[] = [];
  const late: Histogram[] = [];
  // In turns, because nobody knows how long it takes.
  while (!done) {
    const turn = await bench.open(standing, reads, READS_PER_SECOND, { seconds: 10 });
    if (done) continue;
    busy.push(quantile(turn.latency, 0.99));
    late.push(turn.late);
  }
  await watching;
  const seconds = (performance.now() - began) / 1000;
  const p99 = busy.sort((a, b) => a - b)[Math.floor(busy.length / 2)] ?? Number.NaN;
  record(bench, standing, 'lines', 'lines/s', LINES / seconds);
  record(bench, standing, 'worker memory, at the begin', 'MB', memory[0] ?? Number.NaN);
  record(bench, standing, 'worker memory, at most', 'MB', Math.max(...memory));
  record(bench, standing, 'read p99, idle', 'ms', quantile(idle.latency, 0.99));
  record(bench, standing, 'read p99, during the import', 'ms', p99);
  // Of the load itself: so much of the figures above is not the service's.
  record(bench, standing, 'sent late p99, idle', 'ms', quantile(idle.late, 0.99));
  record(bench, standing, 'sent late p99, during the import', 'ms', quantile(merge(late), 0.99));
}

const record = (
  bench: Bench,
  standing: Standing,
  name: string,
  unit: Figure['unit'],
  sample: number,
) => bench.record({ question: 'import', name, unit }, standing, sample);

async function call<T>(standing: Standing, path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(standing.url + path, {
    ...init,
    signal: AbortSignal.timeout(600_000),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** A real login: an import asks for a recent one. */
async function signIn(standing: Standing): Promise<string> {
  const { access_token } = await call<{ access_token: string }>(standing, '/api/auth/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: email(0), password: PASSWORD }),
  });
  return access_token;
}

async function upload(standing: Standing, token: string, n: number): Promise<string> {
  const hash = await bcrypt.hash(PASSWORD, BCRYPT_COST);
  let line = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const part: string[] = [];
      for (; part.length < PART_LINES && line < LINES; line += 1)
        part.push(userLine(`${n}-${line}`, hash));
      if (part.length === 0) controller.close();
      else controller.enqueue(new TextEncoder().encode(part.join('')));
    },
  });
  const { id } = await call<{ id: string }>(standing, '/api/users/import', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
    body,
    duplex: 'half',
  } as RequestInit);
  return id;
}

const userLine = (n: string, hash: string) =>
  `${JSON.stringify({
    ...{ email: `imported${n}@bench.example`, name: `Imported User ${n}`, password_hash: hash },
    ...{ external_id: `bench-${n}`, app_metadata: { plan: 'pro' } },
  })}\n`;

async function watch(standing: Standing, token: string, id: string, memory: number[]) {
  let current = token;
  for (let polls = 1; ; polls += 1) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    memory.push(standing.workerMegabytes());
    // Access tokens end before a long import does.
    if (polls % 600 === 0) current = await signIn(standing);
    const headers = { authorization: `Bearer ${current}` };
    const job = await call<{ state: string }>(standing, `/api/jobs/${id}`, { headers });
    if (job.state === 'done') return;
    if (job.state !== 'queued' && job.state !== 'running') throw new Error(JSON.stringify(job));
  }
}

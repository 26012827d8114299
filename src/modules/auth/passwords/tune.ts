import { createHashAlgorithm, type HashSettings } from './hash-algorithm';
import { BCRYPT_MAX_COST } from './password-rules';

export interface TuneOptions {
  /** The time that one hash may take, alone on the machine. */
  readonly targetMs: number;
  /** Concurrent hashes of a worker. */
  readonly concurrency: number;
  readonly workers: number;
  readonly cores: number;
  /** The most memory that the hashes of all workers may take, in KiB. */
  readonly memoryMaxKib: number;
  readonly progress: (what: string) => void;
}

export interface Measured {
  readonly settings: HashSettings;
  /** One hash alone. */
  readonly aloneMs: number;
  /** Hashes per second of one worker, with its concurrency. */
  readonly perSecond: number;
  /** The bound of all workers together: they share the cores. */
  readonly hostPerSecond: number;
  /** Of all concurrent hashes of all workers; 0: hardly any. */
  readonly memoryKib: number;
  /** Within the target, and the strongest of its kind. */
  readonly isProposed: boolean;
}

const BCRYPT_LEAST = 10;
/** Memory in KiB, and the least passes with it (OWASP, RFC 9106 §4). */
const ARGON2_STEPS = [
  [19_456, 2],
  [47_104, 1],
  [65_536, 1],
  [131_072, 1],
] as const;
/** A login checks no hash of more (formats/argon2.ts). */
const ARGON2_MAX_KIB_PASSES = 1_048_576;
const SAMPLES = 5;
const PASSWORD = 'correct horse battery';

/** Measures candidates of both kinds on this machine; one of each kind is proposed. */
export async function tunePasswords(options: TuneOptions): Promise<Measured[]> {
  const bcrypt = await measureAll(await bcryptCandidates(options), options);
  const argon2id = await measureAll(await argon2Candidates(options), options);
  return [...proposing(bcrypt, options), ...proposing(argon2id, options)];
}

async function bcryptCandidates({ targetMs, progress }: TuneOptions): Promise<HashSettings[]> {
  progress(`bcrypt cost ${BCRYPT_LEAST}`);
  const leastMs = await aloneMs({ kind: 'bcrypt', cost: BCRYPT_LEAST });
  const cost = BCRYPT_LEAST + Math.floor(Math.log2(targetMs / leastMs));
  const costs = [cost - 1, cost, cost + 1].map((one) =>
    Math.min(BCRYPT_MAX_COST, Math.max(BCRYPT_LEAST, one)),
  );
  return [...new Set(costs)].map((one) => ({ kind: 'bcrypt', cost: one }));
}

async function argon2Candidates(options: TuneOptions): Promise<HashSettings[]> {
  const candidates: HashSettings[] = [];
  for (const [memoryKib, least] of ARGON2_STEPS) {
    if (candidates.length > 0 && memoryOf(memoryKib, options) > options.memoryMaxKib) break;
    const settings = { kind: 'argon2id', memoryKib, passes: least, parallelism: 1 } as const;
    options.progress(described(settings));
    const passMs = (await aloneMs(settings)) / least;
    const most = Math.floor(ARGON2_MAX_KIB_PASSES / memoryKib);
    const passes = Math.min(most, Math.max(least, Math.floor(options.targetMs / passMs)));
    candidates.push({ ...settings, passes });
  }
  return candidates;
}

async function measureAll(
  candidates: readonly HashSettings[],
  options: TuneOptions,
): Promise<Omit<Measured, 'isProposed'>[]> {
  const measured: Omit<Measured, 'isProposed'>[] = [];
  for (const settings of candidates) {
    options.progress(described(settings));
    const alone = await aloneMs(settings);
    const perSecond = await rateOf(settings, options.concurrency);
    const hostPerSecond = Math.min(options.workers * perSecond, (options.cores * 1000) / alone);
    const memoryKib = settings.kind === 'bcrypt' ? 0 : memoryOf(settings.memoryKib, options);
    measured.push({ settings, aloneMs: alone, perSecond, hostPerSecond, memoryKib });
  }
  return measured;
}

/** The last that is within the target: candidates are in the order of their strength. */
function proposing(
  measured: readonly Omit<Measured, 'isProposed'>[],
  { targetMs }: TuneOptions,
): Measured[] {
  const within = measured.filter((one) => one.aloneMs <= targetMs * TOLERANCE);
  const proposed = within.at(-1) ?? measured[0];
  return measured.map((one) => ({ ...one, isProposed: one === proposed }));
}

/** Measurements scatter, more on a busy machine. */
const TOLERANCE = 1.1;

const memoryOf = (memoryKib: number, { concurrency, workers }: TuneOptions) =>
  memoryKib * concurrency * workers;

/** The least of several: a disturbance makes a measurement longer. */
async function aloneMs(settings: HashSettings): Promise<number> {
  const { hash } = createHashAlgorithm(settings);
  const times: number[] = [];
  for (let i = 0; i < SAMPLES; i += 1) {
    const start = performance.now();
    await hash(PASSWORD);
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}

async function rateOf(settings: HashSettings, concurrency: number): Promise<number> {
  const { hash } = createHashAlgorithm(settings);
  const rounds = 3;
  const start = performance.now();
  const one = async () => {
    for (let i = 0; i < rounds; i += 1) await hash(PASSWORD);
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return (rounds * concurrency * 1000) / (performance.now() - start);
}

/** For people. */
export function described(settings: HashSettings): string {
  if (settings.kind === 'bcrypt') return `bcrypt    cost ${settings.cost}`;
  const { memoryKib, passes, parallelism } = settings;
  return `argon2id  ${memoryKib / 1024} MiB, ${passes} passes, parallelism ${parallelism}`;
}

/** Lines for .env. */
export function environmentOf(settings: HashSettings): string[] {
  if (settings.kind === 'bcrypt') return ['PASSWORD_HASH=bcrypt', `BCRYPT_COST=${settings.cost}`];
  return [
    'PASSWORD_HASH=argon2id',
    `ARGON2_MEMORY_KIB=${settings.memoryKib}`,
    `ARGON2_PASSES=${settings.passes}`,
    `ARGON2_PARALLELISM=${settings.parallelism}`,
  ];
}

import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../../../platform/telemetry/logger';
import type { Metrics } from '../../../platform/telemetry/metrics';
import { NO_TRACING, type Tracing } from '../../../platform/telemetry/tracing';
import type { CompromisedPasswords } from './compromised/compromised-passwords';
import { dummyOf, readStored } from './formats/registry';
import type { StoredHash } from './formats/stored-hash';
import { createHashAlgorithm, type HashSettings } from './hash-algorithm';
import { createHashQueue } from './hash-queue';
import { normalizePassword } from './password-rules';
import { createStoredCosts, type StoredCosts } from './stored-costs';
import { createWorkMeter, type WorkMeter } from './work-meter';

export interface Passwords {
  /** Of a password that is in use. Throws Problem 503 `hash_queue_full`. */
  hash(password: string): Promise<string>;
  /**
   * Of a password to set, which must have passed `newPasswordOf`; `pointer`: where it is in the
   * body. Throws also 422 `password_compromised` and 503 `password_check_unavailable`.
   */
  hashNew(password: string, pointer: '/password' | '/new_password'): Promise<string>;
  /**
   * Always takes the time of the most work in use: also for an account that does not exist (`hash`
   * undefined), for a password that cannot have been set and for a hash of less work. Calls `turn`
   * right before the check, which may skip it. Throws 503 `hash_queue_full`.
   */
  verify(
    password: string,
    hash: string | undefined,
    turn?: (check: () => Promise<boolean>) => Promise<boolean>,
  ): Promise<boolean>;
  /**
   * True when `hash`, which fits the password, has another cost than the configured one or another
   * form. False where the configured algorithm cannot hash the password without loss: then the hash
   * stays as it is.
   */
  needsRehash(hash: string, password: string): boolean;
  /** Learns the work of the stored hashes. */
  start(): Promise<void>;
}

export interface PasswordOptions {
  /** How new hashes are made. */
  readonly hashing: HashSettings;
  /** Concurrent hashes of this process. */
  readonly concurrency: number;
  /** Limit of waiting hashes. */
  readonly queueMax: number;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly compromised: Pick<CompromisedPasswords, 'refuse'>;
  /** The parameters of a sample of the stored hashes. */
  readonly stored?: { readonly sample: () => Promise<readonly string[]>; readonly log: Logger };
}

/** Measurements of parameters that were not measured before. */
const FIRST_MEASUREMENTS = 5;
/** Limit of the wait for measurements at the start. They go on after it. */
const START_WAIT_MS = 5000;

export function createPasswords(options: PasswordOptions): Passwords {
  const algorithm = createHashAlgorithm(options.hashing);
  const dummy = validDummyOf(algorithm.parameters);
  const admit = createHashQueue(options);
  const meter = createWorkMeter();
  const { stored, measure } = storedCosts(options, algorithm.parameters, meter, admit);

  const hash = (password: string) => admit(() => algorithm.hash(password));

  /** The work of a check of this password. */
  const roundsOf = (parameters: string, password: string) =>
    (meter.roundsOf(parameters) ?? 0) * spellingsOf(parameters, password).length;

  async function check(password: string, hash: string | undefined): Promise<boolean> {
    const found = hash === undefined ? undefined : readStored(hash);
    if (found !== undefined) stored?.saw(found.parameters);
    const isChecked = found?.accepts(password) === true;
    // Without a hash to check: the work of one that is made today, by the same algorithm.
    const { parameters, matches } = isChecked ? found : dummy;
    const inUse = [parameters, algorithm.parameters, ...(stored?.inUse() ?? [])];
    const most = Math.max(...inUse.map((one) => roundsOf(one, password)));
    let isRight = false;
    // All of them: the time must not tell which one fits.
    for (const spelling of spellingsOf(parameters, password))
      isRight = (await matches(spelling)) || isRight;
    await meter.spend(most - roundsOf(parameters, password));
    return isChecked && isRight;
  }

  return {
    hash,
    async hashNew(password, pointer) {
      await options.compromised.refuse(password, pointer);
      return hash(password);
    },
    verify: (password, hash, turn = (work) => work()) =>
      admit(() => turn(() => check(password, hash))),
    needsRehash: (hash, password) => !algorithm.isCurrent(hash) && algorithm.accepts(password),
    async start() {
      const learnt = measure(algorithm.parameters).then(() => stored?.refresh());
      await Promise.race([learnt, pause(START_WAIT_MS, undefined, { ref: false })]);
    },
  };
}

/**
 * The forms that a hash may have been made of: this service hashes NFC, others the typed form.
 * The forms of bcrypt that occur are all in NFC; hashes of other algorithms are another system's.
 */
function spellingsOf(parameters: string, password: string): readonly string[] {
  if (!parameters.startsWith('$argon2')) return [password];
  return [...new Set([normalizePassword(password), password])];
}

function validDummyOf(parameters: string): StoredHash {
  const dummy = dummyOf(parameters);
  if (dummy === undefined) throw new Error(`no hash can have the parameters ${parameters}`);
  return dummy;
}

/** Measures the work of hashes in use, in the queue: five times, then once per sample. */
function storedCosts(
  { stored, tracing = NO_TRACING }: PasswordOptions,
  ownParameters: string,
  meter: WorkMeter,
  admit: ReturnType<typeof createHashQueue>,
) {
  async function measure(parameters: string): Promise<void> {
    const times = meter.roundsOf(parameters) === undefined ? FIRST_MEASUREMENTS : 1;
    const once = () => admit(() => meter.measure(parameters));
    // For all, not for the request whose hash had unknown parameters.
    for (let i = 0; i < times; i += 1) await tracing.activate(undefined, once);
  }
  const costs: StoredCosts | undefined =
    stored &&
    createStoredCosts({
      ...stored,
      async learn(inUse) {
        for (const parameters of new Set([ownParameters, ...inUse])) await measure(parameters);
      },
    });
  return { stored: costs, measure };
}

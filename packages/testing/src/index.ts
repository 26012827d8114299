import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mailbox, openMailbox } from './mailbox.js';
import { type ServiceProcess, startProcess } from './process.js';
import { createSignIn, type SignIn } from './users.js';

export type { Mailbox, MailFilter, ReceivedMail, WaitOptions } from './mailbox.js';
export type { NewUser, Session, TestUser } from './users.js';

/** Settings of the service by their names (docs/configuration.md), e.g. `REFRESH_GRACE_SECONDS`. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

export interface TestClock {
  /** Ms since the epoch, as the service sees it. */
  now(): Promise<number>;
  /** Moves the service's time. It goes on from there. */
  advance(ms: number): Promise<void>;
  set(time: Date | number): Promise<void>;
}

export interface TestAuth extends SignIn {
  /** The issuer of the tokens, and the beginning of each address. */
  readonly url: string;
  readonly mailbox: Mailbox;
  readonly clock: TestClock;
  /** Back to the state after the start: no users, no mails, the real time. */
  reset(): Promise<void>;
  /** The last lines of the service's log, for a test that failed. */
  log(): string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Only for these does the fixture work. */
const FIXED = ['NODE_ENV', 'DATA_DIR', 'RUNTIME_DIR', 'MONGODB_URI', 'REDIS_URL', 'SMTP_URL'];

const DEFAULTS = {
  // Weak and fast: no password of a test needs protection.
  BCRYPT_COST: 4,
  PASSWORD_HASH: 'bcrypt',
  HASH_CONCURRENCY: 2,
  // Tests make more requests than one client may, and none of them waits for a local cache entry.
  RATE_LIMIT: false,
  NEAR_CACHE_TTL_MS: 0,
  LOG_LEVEL: 'warn',
  DRAIN_IDLE_MS: 0,
  DRAIN_TIMEOUT_MS: 100,
} as const;

/**
 * Starts the real service with a database of its own. `settings` are settings of the service.
 * Refuses where NODE_ENV is production.
 */
export async function startAuth(settings: Settings = {}): Promise<TestAuth> {
  if (process.env['NODE_ENV'] === 'production')
    throw new Error('@clustered-auth/testing does not run where NODE_ENV is production');
  const given = givenOf(settings);
  const wrong = Object.keys(given).filter((name) => FIXED.includes(name));
  if (wrong.length > 0) throw new Error(`the fixture itself sets ${wrong.join(', ')}`);
  const folder = await mkdtemp(join(tmpdir(), 'auth-test-'));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 3 });
  try {
    const environment = {
      KEY_ENCRYPTION_SECRET: randomBytes(32).toString('base64'),
      ...givenOf(DEFAULTS),
      ...given,
      ...{ NODE_ENV: 'development', DATA_DIR: join(folder, 'data'), RUNTIME_DIR: folder },
    };
    const service = await startProcess(folder, environment, Object.keys(given));
    return createTestAuth(service, openMailbox(join(folder, 'data', 'mail')), remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The service's time would be none from then on. */
function finite(name: string, value: number): number {
  if (!Number.isFinite(value))
    throw new TypeError(`${name} must be a number or a Date that exists`);
  return value;
}

/** As an environment. `undefined` stands for a setting that is left out. */
function givenOf(settings: Settings): Record<string, string> {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  for (const [name, value] of given)
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw new TypeError(`the setting ${name} must be a text, a number, or true or false`);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

function createTestAuth(
  service: ServiceProcess,
  mailbox: Mailbox,
  remove: () => Promise<void>,
): TestAuth {
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= service.close().then(remove));
  return {
    url: service.url,
    mailbox,
    ...createSignIn(service.url, (user) => service.order<string>({ type: 'createUser', user })),
    clock: {
      now: () => service.order<number>({ type: 'now' }),
      advance: async (ms) => service.order({ type: 'advance', ms: finite('ms', ms) }),
      set: async (time) =>
        service.order({ type: 'set', timeMs: finite('time', time instanceof Date ? +time : time) }),
    },
    async reset() {
      await service.order({ type: 'reset' });
      await mailbox.clear();
    },
    log: service.output,
    close,
    [Symbol.asyncDispose]: close,
  };
}

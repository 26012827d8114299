import { createHash } from 'node:crypto';
import bcrypt from 'bcrypt';
import { type Connection, Types } from 'mongoose';
import type { AuditRow } from '../../src/modules/audit/audit-event';
import { AUDIT_COLLECTION } from '../../src/modules/audit/collection';
import type { SessionRow } from '../../src/modules/auth/sessions/session-row';
import { SESSIONS_COLLECTION } from '../../src/modules/auth/sessions/session-store';
import { USERS_COLLECTION, type UserDocument } from '../../src/modules/users/model';
import { newDocument } from '../../src/modules/users/new-document';
import { createdEvent } from '../../src/modules/users/user-events';
import { EVENTS_COLLECTION } from '../../src/platform/event-log/event-log';

/** For the service: every request reads the database, and mails wait in the queue. */
export const RATIO_ENVIRONMENT = {
  ...{ NODE_ENV: 'test', RATE_LIMIT: 'false', BCRYPT_COST: '4', ACCESS_LOG: 'false' },
  ...{
    NEAR_CACHE_TTL_MS: '0',
    REDIS_URL: '',
    SMTP_URL: 'smtp://127.0.0.1:9',
    EMAIL_SIGN_IN: 'true',
    // Of the authenticator in passkeys.ts, whatever PUBLIC_URL says.
    PASSKEY_RP_ID: 'localhost',
    PASSKEY_ORIGINS: 'http://localhost:3000',
    ROLES: 'enrolling=',
    MFA_POLICY: 'optional,enrolling=required',
  },
} as const;

export const PASSWORD = 'correct horse battery staple';
/** The lowest: hashing would hide the time of the database. */
const COST = Number(RATIO_ENVIRONMENT.BCRYPT_COST);
const BATCH = 5000;
const DAY_MS = 86_400_000;

export const emailOf = (n: number): string => `u${n}@bench.example`;
/** Ids of one second each, as time goes. */
export const idOf = (n: number): string =>
  (1_700_000_000 + n).toString(16).padStart(8, '0') + n.toString(16).padStart(16, '0');

const NAMES = ['Ada', 'Olga', 'José', 'Li', 'Anna', 'Zoë', 'Émile', 'Maria'];

/**
 * So many users, each with a session, an audit event and an event for others, made by the functions
 * that the service makes them with. Indexes come afterwards (`prepareDatabase`): that is faster.
 */
export async function seedRatio(connection: Connection, users: number): Promise<void> {
  const passwordHash = await bcrypt.hash(PASSWORD, COST);
  for (let from = 0; from < users; from += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, users - from) }, (_, i) => from + i);
    await Promise.all([
      connection.collection<UserDocument>(USERS_COLLECTION).insertMany(
        numbers.map((n) => user(n, passwordHash)),
        { ordered: false },
      ),
      connection
        .collection<SessionRow>(SESSIONS_COLLECTION)
        .insertMany(numbers.map(session), { ordered: false }),
      connection
        .collection<AuditRow>(AUDIT_COLLECTION)
        .insertMany(numbers.map(auditEvent), { ordered: false }),
      connection
        .collection<ReturnType<typeof loggedEvent>>(EVENTS_COLLECTION)
        .insertMany(numbers.map(loggedEvent), { ordered: false }),
    ]);
  }
}

function user(n: number, passwordHash: string): UserDocument {
  const name = `${NAMES[n % NAMES.length]} ${n % 5000}`;
  const role = n === 0 ? 'admin' : n % 1000 === 1 ? 'support' : 'user';
  const now = new Date(1_700_000_000_000 + n * 1000);
  const made = newDocument({ id: idOf(n), name, email: emailOf(n), passwordHash, role }, now);
  // Their events are in the log.
  return { ...made, emailVerified: n % 5 > 0, outbox: [] };
}

const loggedEvent = (n: number) => ({
  ...{ _id: n + 1, subject: idOf(n) },
  ...createdEvent(new Date(1_700_000_000_000 + n * 1000)),
});

function session(n: number): SessionRow {
  const now = new Date();
  const hash = createHash('sha256').update(String(n)).digest('base64url');
  const until = new Date(now.getTime() + DAY_MS);
  return {
    ...{ _id: idOf(n), userId: idOf(n), family: hash, tokenHash: hash, used: [], version: 1 },
    ...{ createdAt: now, lastUsedAt: now, until, absoluteUntil: until },
    ...{ userAgent: 'bench', ipPrefix: '203.0.113.0/24' },
  };
}

function auditEvent(n: number): AuditRow {
  const at = new Date(Date.now() - n * 10);
  return {
    ...{ _id: new Types.ObjectId(), type: 'registered', result: 'success', subject: idOf(n), at },
    ...{ network: '203.0.113.0/24', userAgent: 'bench', requestId: `seed-${n}` },
    until: new Date(at.getTime() + 90 * DAY_MS),
  };
}

import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { problems } from '../../../kernel/errors';
import { backoffMs } from '../../../kernel/lifecycle';
import type { KeyRing } from '../keys/keys';
import { signJws } from '../tokens/jws';
import type { LogEntry, RevocationLog } from './log';

const STREAMS_COLLECTION = 'security_event_streams';
/** OpenID CAEP 1.0 §3.1. */
export const SESSION_REVOKED =
  'https://schemas.openid.net/secevent/caep/event-type/session-revoked';

interface PollRequest {
  /** The service account that asks. It has one stream. */
  readonly receiver: string;
  /** 0: only acknowledges. */
  readonly maxEvents: number;
  readonly waitMs: number;
  /** Ids (`jti`) of tokens that need not be sent again. */
  readonly done: readonly string[];
}

interface PollAnswer {
  /** Security event tokens (RFC 8417) by their `jti`. */
  readonly sets: Readonly<Record<string, string>>;
  readonly moreAvailable: boolean;
}

/** The revocation log as security event tokens, for receivers that know CAEP (RFC 8936). */
export type PollSecurityEvents = (request: PollRequest) => Promise<PollAnswer>;

/** How far a receiver is. */
interface StreamRow {
  readonly _id: string;
  /** All entries up to here are done. */
  readonly after: number;
  /** Later tokens that are done. */
  readonly done: readonly string[];
}

interface EventPart {
  readonly jti: string;
  readonly entry: LogEntry;
  readonly session?: string;
}

/** Entries of one read. More than are sent, as some of them have no event or are done. */
const READ = 1000;
/** Of one poll, over entries without events. */
const READS_MAX = 20;
const SETTLE_ATTEMPTS = 10;

export function createSecurityEvents(deps: {
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly log: RevocationLog;
  readonly waitFor: (after: number, waitMs: number) => Promise<void>;
  readonly keys: Pick<KeyRing, 'signing'>;
  readonly issuer: string;
  readonly now: () => number;
}): PollSecurityEvents {
  const { connection, log, keys, issuer, now } = deps;
  const bounded = { maxTimeMS: deps.timeoutMs };
  const rows = () => connection.collection<StreamRow>(STREAMS_COLLECTION);

  /** A receiver's stream begins with its first poll. */
  async function streamOf(receiver: string): Promise<StreamRow> {
    const fresh = { after: await log.latest(), done: [] };
    const row = await rows().findOneAndUpdate(
      { _id: receiver },
      { $setOnInsert: fresh },
      { ...bounded, upsert: true, returnDocument: 'after' },
    );
    return row ?? { _id: receiver, ...fresh };
  }

  /** The stream with what is done: a position, and tokens behind it. */
  async function advanced(
    { _id, after, done }: StreamRow,
    newlyDone: readonly string[],
  ): Promise<StreamRow> {
    let now: StreamRow = { _id, done, after: Math.max(after, (await log.oldest()) - 1) };
    // Many entries have no event: past them too, or what comes behind would never be sent.
    for (let reads = 0; reads < READS_MAX; reads += 1) {
      const entries = await log.read(now.after, READ);
      now = past(now, entries, newlyDone);
      if (entries.length < READ || now.after < (entries.at(-1)?.sequence ?? 0)) break;
    }
    return now;
  }

  /**
   * Stores it. The state of another poll of the receiver must not be lost: then all of
   * it begins again. Throws 503 `busy`.
   */
  async function settle(receiver: string, newlyDone: readonly string[]): Promise<StreamRow> {
    for (let attempts = 0; attempts < SETTLE_ATTEMPTS; attempts += 1) {
      const seen = await streamOf(receiver);
      const { after, done } = await advanced(seen, newlyDone);
      if (newlyDone.length === 0 && after === seen.after) return seen;
      const change = { $set: { after, done } };
      const stored = await rows().updateOne(seen, change, bounded);
      if (stored.matchedCount === 1) return { ...seen, after, done };
      await pause(backoffMs(attempts, 5, 100));
    }
    throw problems.unavailable('busy', 'Other polls of this receiver are in progress.', 1);
  }

  const sign = ({ jti, entry, session }: EventPart, receiver: string): string => {
    const user = { format: 'iss_sub', iss: issuer, sub: entry.subject };
    const subject =
      session === undefined
        ? user
        : { format: 'complex', user, session: { format: 'opaque', id: session } };
    const event = { event_timestamp: Math.floor(entry.at.getTime() / 1000) };
    const claims = {
      ...{ iss: issuer, aud: receiver, jti, iat: Math.floor(now() / 1000) },
      ...{ sub_id: subject, events: { [SESSION_REVOKED]: event } },
    };
    return signJws(claims, 'secevent+jwt', keys.signing());
  };

  async function waiting({ after, done }: StreamRow): Promise<readonly EventPart[]> {
    const isDone = new Set(done);
    return (await log.read(after, READ)).flatMap(partsOf).filter(({ jti }) => !isDone.has(jti));
  }

  return async ({ receiver, maxEvents, waitMs, done }) => {
    const stream = await settle(receiver, done);
    let parts = await waiting(stream);
    if (parts.length === 0 && maxEvents > 0 && waitMs > 0) {
      await deps.waitFor(Math.max(stream.after, await log.latest()), waitMs);
      parts = await waiting(stream);
    }
    const sent = parts.slice(0, maxEvents);
    return {
      sets: Object.fromEntries(sent.map((part) => [part.jti, sign(part, receiver)])),
      moreAvailable: parts.length > sent.length,
    };
  };
}

/** The stream behind the leading entries that have no event, or whose events are all done. */
function past(
  stream: StreamRow,
  entries: readonly LogEntry[],
  newlyDone: readonly string[],
): StreamRow {
  const known = new Set(entries.flatMap((entry) => partsOf(entry).map(({ jti }) => jti)));
  const done = new Set([...stream.done, ...newlyDone].filter((jti) => known.has(jti)));
  let { after } = stream;
  for (const entry of entries) {
    const parts = partsOf(entry);
    if (!parts.every(({ jti }) => done.has(jti))) break;
    after = entry.sequence;
    for (const { jti } of parts) done.delete(jti);
  }
  return { ...stream, after, done: [...done] };
}

/**
 * The events of an entry: one for each session, and one for the subject where all its sessions have
 * ended. CAEP has no "all but one": the session that was kept is in it too. Service accounts
 * and keys have no sessions.
 */
function partsOf(entry: LogEntry): readonly EventPart[] {
  const { sequence, type, isService, version, sessions = [] } = entry;
  if (isService === true) return [];
  const all = type === 'subject_removed' || version !== undefined;
  return [
    ...(all ? [{ jti: `r${sequence}`, entry }] : []),
    ...sessions.map((session, i) => ({ jti: `r${sequence}.${i}`, entry, session })),
  ];
}

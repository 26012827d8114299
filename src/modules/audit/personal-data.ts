import type { Connection } from 'mongoose';
import { z } from 'zod';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import type { PersonalData } from '../../platform/module';
import { rowsAfter } from '../../platform/mongo/keyset';
import { AUDIT_TYPES, type AuditRow } from './audit-event';
import { AUDIT_COLLECTION } from './collection';

const PAGE = 500;
/** The newest ones, should there be more. */
const EXPORTED_EVENTS_MAX = 1_000_000;

const personalEvent = z
  .object({
    id: shownId('Id of the event.'),
    at: shownTime('When it happened.'),
    type: z.enum(AUDIT_TYPES).meta({ description: 'The kind of event.' }),
    result: z.enum(['success', 'failure']).meta({ description: 'How it ended.' }),
    reason: shownText(512, 'Why it failed, or what it was done by.', 'wrong_password').nullable(),
    note: shownText(
      500,
      'A note of an administrator about you: the reason of a ban.',
      'spam',
    ).nullable(),
    by: z.enum(['you', 'another', 'unknown']).meta({ description: 'The sender of the request.' }),
    account: z.enum(['you', 'another', 'none']).meta({ description: 'The account concerned.' }),
    session: shownText(
      64,
      'The session of yours that it concerns, where it does.',
      '652f1c3e9b1d4a0012ab34ce',
    ).nullable(),
    network: shownText(
      64,
      'Network of the request; not of another user.',
      '203.0.113.9',
    ).nullable(),
    user_agent: shownText(
      256,
      'User-Agent of the request; not of another user.',
      'curl/8.5.0',
    ).nullable(),
    count: z
      .int()
      .min(1)
      .max(2_147_483_647)
      .meta({ description: 'How many such requests it stands for.', examples: [1] }),
  })
  .meta({ id: 'PersonalEvent' });

/** The events about a user, and then those that the user caused about others; newest first. */
export function createAuditExport(
  connection: Connection,
  { timeoutMs }: { readonly timeoutMs: number },
): PersonalData {
  async function* rowsOf(filter: Record<string, unknown>): AsyncGenerator<AuditRow> {
    let after: object = {};
    for (;;) {
      const page = await connection
        .collection<AuditRow>(AUDIT_COLLECTION)
        .find({ ...filter, ...after }, { maxTimeMS: timeoutMs })
        .sort({ at: -1, _id: -1 })
        .limit(PAGE)
        .toArray();
      yield* page;
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return;
      const position = { value: last.at, id: last._id.toHexString() };
      after = Object.assign({}, ...rowsAfter('at', -1, position)) as object;
    }
  }

  async function* eventsOf(userId: string): AsyncGenerator<object> {
    let count = 0;
    for (const filter of [{ subject: userId }, { actor: userId }])
      for await (const row of rowsOf(filter)) {
        const isSecond = !('subject' in filter) && row.subject === userId;
        if (!isSecond && count < EXPORTED_EVENTS_MAX) {
          count += 1;
          yield viewOf(row, userId);
        }
        if (count >= EXPORTED_EVENTS_MAX) return;
      }
  }

  return {
    schema: { audit_events: z.array(personalEvent).max(EXPORTED_EVENTS_MAX) },
    read: async (userId) => ({ audit_events: eventsOf(userId) }),
  };
}

/**
 * Not who the others are, nor where they are, nor what was written about them and their sessions:
 * that is about them. A note about the user is, with any author.
 */
function viewOf(row: AuditRow, userId: string): z.output<typeof personalEvent> {
  const { actor, subject } = row;
  const isOfAnother = actor !== undefined && actor !== userId;
  const isAboutUser = subject === userId;
  return {
    id: row._id.toHexString(),
    at: row.at.toISOString(),
    type: row.type,
    result: row.result,
    reason: row.reason ?? null,
    note: (isAboutUser && row.note) || null,
    by: actor === undefined ? 'unknown' : isOfAnother ? 'another' : 'you',
    account: subject === undefined ? 'none' : isAboutUser ? 'you' : 'another',
    session: (isAboutUser && row.session) || null,
    network: isOfAnother ? null : row.network,
    user_agent: isOfAnother ? null : row.userAgent,
    count: row.count ?? 1,
  };
}

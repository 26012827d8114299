import { z } from 'zod';
import { endpoint } from '../../../platform/http/endpoint';
import { sequenceNumber, wholeNumber } from '../../../platform/http/parameters';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import type { LogEntry } from './log';

export const MAX_LIMIT = 1000;
const position = sequenceNumber('must be the next_after of an answer, or 0');
const shownPosition = (description: string) =>
  z.int().min(0).max(Number.MAX_SAFE_INTEGER).meta({ description });
const names = (description: string) =>
  z
    .array(z.string().meta({ maxLength: 128 }))
    .max(MAX_LIMIT)
    .optional()
    .meta({ description });

const entryView = z
  .object({
    sequence: shownPosition('Number of the entry. The numbers have no gap.'),
    time: shownTime('When the log got it.'),
    type: z.enum(['tokens_ended', 'subject_removed', 'keys_removed']).meta({
      description:
        'The kind of the entry. Of a removed subject every token has ended; of removed keys every token that they signed.',
      examples: ['tokens_ended'],
    }),
    subject: shownId('The user or service account.').optional(),
    session_version: shownPosition(
      'The tokens of the subject with a lower `ver` have ended, but for those of `kept_session`.',
    ).optional(),
    kept_session: z
      .object({
        id: shownText(128, 'Its tokens stand (`sid`).', '652f1c3e9b1d4a0012ab34cd'),
        version: shownPosition('From this `ver` on.'),
      })
      .optional(),
    sessions: names('Their tokens have ended (`sid`).'),
    tokens: names('These tokens have ended (`jti`).'),
    keys: names('The tokens that they signed have ended (`kid`).'),
  })
  .meta({ id: 'Revocation' });

export const revocationsEndpoint = endpoint({
  method: 'get',
  path: '/api/auth/revocations',
  id: 'listRevocations',
  summary: 'Follow the ends of access tokens, for verifiers of other services',
  tag: 'oauth',
  access: 'user',
  permission: 'revocations:read',
  impersonation: false,
  waits: true,
  query: z.strictObject({
    after: position
      .optional()
      .meta({ description: 'The `next_after` of the last answer. Absent: from the beginning.' }),
    wait: wholeNumber(0, 10_000)
      .optional()
      .meta({ description: 'For how long to wait for an entry, in ms; at most half of a lease.' }),
    verifier: z
      .string()
      .regex(/^[A-Za-z0-9_-]{16,64}$/)
      .optional()
      .meta({
        maxLength: 64,
        description:
          'Random id of one process that decides by the answer: a request that ends tokens later waits for its next look, or for `lease_ms` from the beginning of this one.',
      }),
    limit: wholeNumber(1, MAX_LIMIT)
      .optional()
      .meta({ description: `Maximum number of entries; ${MAX_LIMIT} unless given.` }),
  }),
  answers: {
    200: {
      description: 'The entries after the position, in order.',
      schema: z
        .object({
          data: z.array(entryView).max(MAX_LIMIT),
          next_after: shownPosition('The position of the next look.'),
          has_more: z.boolean().meta({ description: 'Whether there are more entries already.' }),
          lease_ms: shownPosition(
            'A verifier may decide by this answer for so long, from when it began to ask.',
          ),
          retain_seconds: shownPosition('The tokens of an entry have expired after this.'),
          time: shownTime("The service's time."),
        })
        .meta({ id: 'RevocationPage' }),
    },
  },
  problems: ['position_gone'],
});

export const entryViewOf = ({ sequence, at, type, subject, ...ended }: LogEntry) => ({
  sequence,
  time: at.toISOString(),
  type,
  ...(subject === undefined ? {} : { subject }),
  ...(ended.version === undefined ? {} : { session_version: ended.version }),
  ...(ended.kept === undefined
    ? {}
    : { kept_session: { id: ended.kept.sid, version: ended.kept.ver } }),
  ...(ended.sessions === undefined ? {} : { sessions: ended.sessions }),
  ...(ended.tokens === undefined ? {} : { tokens: ended.tokens }),
  ...(ended.keys === undefined ? {} : { keys: ended.keys }),
});

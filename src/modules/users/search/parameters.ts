import { z } from 'zod';
import type { Policy } from '../../../kernel/permissions';
import { emailAddress, objectId } from '../../../platform/http/fields';
import { commaSeparated, flag, time, wholeNumber } from '../../../platform/http/parameters';
import { characters } from '../../../platform/http/validation';
import { roleSchema } from '../schemas';
import { userView } from '../view';
import { SEARCH_KEY_MAX_CHARS } from './search-keys';

const SORTS = [
  ...(['created_at', '-created_at', 'name', '-name', 'email', '-email'] as const),
  ...(['last_login_at', '-last_login_at'] as const),
] as const;
export type Sort = (typeof SORTS)[number];

export const COUNT_CAP = 10_000;
export const LIMIT_MAX = 100;
export const LIMIT = 20;
const IDS_MAX = 100;
const ROLES_MAX = 6;
/**
 * A name's key has at most 100 characters; keys of documents from before that bound have up to
 * 4,000 characters as a cursor.
 */
const CURSOR_MAX_CHARS = 6000;
const METADATA_VALUE_MAX_CHARS = 200;

/** A member of metadata that users can be listed by (METADATA_INDEXED). */
export interface MetadataFilter {
  /** The query parameter: `app_metadata.plan`. */
  readonly parameter: string;
  /** In the stored document: `appMetadata.plan`. */
  readonly field: string;
  readonly index: { readonly name: string };
}

export const STATUSES = ['active', 'banned'] as const;
const MEMBERS = Object.keys(userView.shape) as [keyof typeof userView.shape];

const range = (what: string) => ({
  from: time()
    .optional()
    .meta({ description: `Users ${what} at this time or later.` }),
  to: time()
    .optional()
    .meta({ description: `Users ${what} before this time.` }),
});

const PAGE = {
  limit: wholeNumber(1, LIMIT_MAX)
    .optional()
    .meta({ description: `Users per page; ${LIMIT} unless given, with \`ids\` all of them.` }),
  cursor: z
    .string()
    .max(CURSOR_MAX_CHARS)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be a next_cursor or prev_cursor of an earlier answer')
    .optional()
    .meta({
      description: '`next_cursor` or `prev_cursor` of a page with the same filters and order.',
      examples: ['AgFzaWduZWQ'],
    }),
  sort: z.enum(SORTS).optional().meta({
    description:
      'Order; `-` is descending. `-created_at` unless said; with `q` the name, or the address for a `q` with an @; with a time of login `-last_login_at`. Names are in the order of CLDR (locale `en`): case does not count, accents do last.',
  }),
};

const filters = (policy: Policy) => {
  const [created, login] = [range('made'), range('whose last known login was')];
  return {
    role: commaSeparated(roleSchema(policy), ROLES_MAX)
      .optional()
      .meta({ description: 'Users with one of these roles.', examples: ['admin'] }),
    status: z.enum(STATUSES).optional().meta({ description: 'Users with this status.' }),
    email_verified: flag()
      .optional()
      .meta({ description: 'Users whose address is proven to be theirs, or those whose is not.' }),
    created_from: created.from,
    created_to: created.to,
    last_login_from: login.from,
    last_login_to: login.to,
    ids: commaSeparated(objectId, IDS_MAX)
      .optional()
      .meta({ description: 'The users with these ids, in the order of the ids.' }),
    external_id: characters(1, 128)
      .optional()
      .meta({ description: 'The user with this `external_id`.', examples: ['crm-4711'] }),
    email: emailAddress
      .optional()
      .meta({ description: 'The user with this address, in any letter case.' }),
    q: characters(1, 100)
      .optional()
      .meta({
        description: `Start of the name, of any word of it or of the e-mail address, without regard to case and accents; the first ${SEARCH_KEY_MAX_CHARS} characters count. With an @: start of the e-mail address.`,
        examples: ['ada'],
      }),
  };
};

const ANSWER = {
  fields: commaSeparated(z.enum(MEMBERS), MEMBERS.length)
    .optional()
    .meta({
      description: 'The members of each user to answer with; `id` always.',
      examples: ['name,email'],
    }),
  count: flag()
    .optional()
    .meta({ description: `Whether to add \`total\`, counted up to ${COUNT_CAP}.` }),
};

export const listParameters = (policy: Policy, metadata: readonly MetadataFilter[]) =>
  z
    .strictObject({
      ...PAGE,
      ...(metadataParameters(metadata) as object),
      ...filters(policy),
      ...ANSWER,
    })
    .superRefine((given, context) => {
      refuseInverted(given, ['created_from', 'created_to'], context);
      refuseInverted(given, ['last_login_from', 'last_login_to'], context);
    });

/** A range that ends before it begins is a mistake: an empty page would hide it. */
function refuseInverted<N extends string>(
  given: { readonly [K in N]?: number | undefined },
  [from, to]: readonly [N, N],
  context: z.RefinementCtx,
): void {
  if ((given[from] ?? Number.NEGATIVE_INFINITY) <= (given[to] ?? Number.POSITIVE_INFINITY)) return;
  const refuse = (path: N, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  refuse(from, `must not be later than ${to}`);
  refuse(to, `must not be earlier than ${from}`);
}

const metadataParameters = (metadata: readonly MetadataFilter[]) =>
  Object.fromEntries(
    metadata.map(({ parameter }) => [
      parameter,
      characters(1, METADATA_VALUE_MAX_CHARS)
        .optional()
        .meta({
          description: `Users with this value of \`${parameter}\`; a number, true or false as in JSON.`,
          examples: ['pro'],
        }),
    ]),
  );

export type ListParameters = z.output<ReturnType<typeof listParameters>>;

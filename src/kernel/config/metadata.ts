import type { z } from 'zod';
import { REFUSED_KEYS } from '../metadata-keys';
import { checked, setting } from './setting';
import { tokenClaims } from './token-claims';

/** A member of users' metadata: `app_metadata.plan`. */
export interface MetadataPath {
  readonly member: 'app_metadata' | 'user_metadata';
  readonly keys: readonly string[];
  readonly text: string;
}

const PATHS_MAX = 10;
const PATH = /^(app_metadata|user_metadata)((?:\.[A-Za-z0-9_-]{1,64}){1,3})$/;

const itemsOf = (value: string): string[] =>
  value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

function pathOf(text: string): MetadataPath {
  const [, member, keys = ''] = PATH.exec(text) ?? [];
  return { member: member as MetadataPath['member'], keys: keys.slice(1).split('.'), text };
}

function faultOfPaths(value: string): string | undefined {
  const items = itemsOf(value);
  if (items.length > PATHS_MAX) return `must name at most ${PATHS_MAX} members`;
  const bad = items.find((one) => !PATH.test(one));
  if (bad !== undefined)
    return `must name members of app_metadata or user_metadata, at most 3 levels deep, as app_metadata.plan: ${JSON.stringify(bad)} is none`;
  const never = items.find((one) => pathOf(one).keys.some((key) => REFUSED_KEYS.includes(key)));
  if (never !== undefined)
    return `must name members that metadata can have: ${JSON.stringify(never)} is none`;
  return new Set(items).size < items.length ? 'must name each member once' : undefined;
}

const paths = (): z.ZodType<readonly MetadataPath[]> =>
  checked(faultOfPaths).transform((value) => itemsOf(value).map(pathOf));

export const metadata = {
  indexed: setting(
    'METADATA_INDEXED',
    paths(),
    '',
    'Comma-separated members of metadata that users can be listed by, e.g. `app_metadata.plan`; each has an index.',
  ),
  tokenClaims: setting(
    'TOKEN_CLAIMS',
    tokenClaims(),
    '',
    'Comma-separated claims of access tokens, from `app_metadata` or `external_id`, with or without a name: `app_metadata.plan,tier:app_metadata.billing.tier`.',
  ),
} as const;

import type { z } from 'zod';
import { REFUSED_KEYS } from '../metadata-keys';
import { checked } from './setting';

/** A claim of access tokens, from a user's app_metadata or external_id. */
export interface TokenClaim {
  readonly name: string;
  /** Below `app_metadata`; empty for external_id. */
  readonly keys: readonly string[];
}

const CLAIMS_MAX = 10;
const CLAIM = /^(?:(.+):)?(?:(external_id)|app_metadata((?:\.[A-Za-z0-9_-]{1,64}){1,3}))$/;
/** Not a number, which JavaScript would move to the front. */
const NAME = /^[A-Za-z][A-Za-z0-9_.:/-]{0,47}$/;
/**
 * Claims that a verifier acts on: RFC 7519, RFC 9068 with its claims of authorization, RFC 8693,
 * RFC 7800, OpenID Connect, and those of this service.
 */
const REGISTERED: ReadonlySet<string> = new Set([
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'typ', 'cnf', 'act', 'may_act'],
  ...['client_id', 'scope', 'auth_time', 'acr', 'amr', 'azp', 'nonce', 'sid', 'events'],
  ...['roles', 'groups', 'entitlements', 'at_hash', 'c_hash', 's_hash'],
  ...['ver', 'role', 'email_verified', 'email', 'permissions', 'constructor', 'prototype'],
]);

const itemsOf = (value: string): string[] =>
  value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

function claimOf(item: string): TokenClaim | undefined {
  const match = CLAIM.exec(item);
  if (match === null) return undefined;
  const [, name, externalId, path = ''] = match;
  const keys = path === '' ? [] : path.slice(1).split('.');
  return { name: name ?? externalId ?? keys.at(-1) ?? '', keys };
}

/** Without a name of its own: members have no colon. */
const sourceOf = (item: string): string => item.slice(item.lastIndexOf(':') + 1);

function faultOfClaims(value: string): string | undefined {
  const items = itemsOf(value);
  if (items.length > CLAIMS_MAX) return `must name at most ${CLAIMS_MAX} claims`;
  const names = new Set<string>();
  for (const item of items) {
    const { name, keys = [] } = claimOf(item) ?? {};
    const shown = JSON.stringify(item);
    if (name === undefined)
      return `must name external_id or members of app_metadata, at most 3 levels deep, as app_metadata.plan or tier:app_metadata.plan: ${shown} is none; users write user_metadata themselves`;
    if (keys.some((key) => REFUSED_KEYS.includes(key)))
      return `must name members that app_metadata can have: ${shown} is none`;
    if (!NAME.test(name))
      return `must name claims by a letter and at most 47 letters, digits or any of _ . : / -: ${shown} does not`;
    if (REGISTERED.has(name))
      return `must not replace a claim with a meaning of its own: name another for ${shown}, as app_${name}:${sourceOf(item)}`;
    if (names.has(name)) return `must give each claim another name: ${shown} is the second ${name}`;
    names.add(name);
  }
  return undefined;
}

/** A comma-separated list of claims, each with or without a name of its own. */
export const tokenClaims = (): z.ZodType<readonly TokenClaim[]> =>
  checked(faultOfClaims).transform((value) =>
    itemsOf(value)
      .map(claimOf)
      .filter((one) => one !== undefined),
  );

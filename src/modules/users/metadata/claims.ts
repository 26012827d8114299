import type { Config } from '../../../kernel/config/config';
import { isObject } from './json';

type Claims = Readonly<Record<string, string | number | boolean>>;
/** Of a user as the cache holds it. */
export type TokenClaimsOf = (user: { readonly body?: Buffer }) => Claims;

/** As JSON in UTF-8. Ten of them and their names leave a token below its 4,096 characters. */
const VALUE_MAX_BYTES = 128;
const NONE: Claims = {};

/**
 * The claims that TOKEN_CLAIMS adds to access tokens, as of the issue. A value that is not a short
 * string, a number or a boolean makes no claim.
 */
export function createTokenClaims({ metadata }: Pick<Config, 'metadata'>): TokenClaimsOf {
  const { tokenClaims } = metadata;
  if (tokenClaims.length === 0) return () => NONE;
  return ({ body }) => {
    if (body === undefined) return NONE;
    const view = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    const claims = tokenClaims.flatMap(({ name, keys }) => {
      const value = keys.length === 0 ? view['external_id'] : at(view['app_metadata'], keys);
      return isClaim(value) ? [[name, value] as const] : [];
    });
    return Object.fromEntries(claims);
  };
}

const at = (metadata: unknown, keys: readonly string[]): unknown =>
  keys.reduce<unknown>(
    (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    metadata,
  );

const isClaim = (value: unknown): value is string | number | boolean =>
  ['string', 'number', 'boolean'].includes(typeof value) &&
  Buffer.byteLength(JSON.stringify(value)) <= VALUE_MAX_BYTES;

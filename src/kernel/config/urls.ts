import { isIP } from 'node:net';
import type { z } from 'zod';
import { checked } from './setting';

/**
 * A connection to a loopback address does not leave this machine: it needs no encryption and no
 * password.
 */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    (isIP(host) === 4 && host.startsWith('127.'))
  );
}

/** True when nobody on the network can read or change the connection. */
export function isSafeForCredentials(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || isLoopback(hostname);
}

export function webUrlFault(
  value: string,
  allowed: { query: boolean } = { query: false },
): string | undefined {
  const url =
    /^https?:\/\/[^/]/i.test(value) && !/\s/.test(value) && URL.canParse(value)
      ? new URL(value)
      : undefined;
  if (url === undefined) return 'must be an absolute URL that starts with http:// or https://';
  if (url.username !== '' || url.password !== '') return 'must not contain a user or a password';
  if (!allowed.query && (url.search !== '' || value.includes('?')))
    return 'must not contain a query (?…)';
  return value.includes('#') ? 'must not contain a fragment (#…)' : undefined;
}

/** http:// or https://; a path may follow. `query`: a query as well. */
export const webUrl = (
  options: { query: boolean; empty?: boolean } = { query: false },
): z.ZodType<string> =>
  checked((value) =>
    options.empty === true && value === '' ? undefined : webUrlFault(value, options),
  );

/**
 * An origin as browsers send it (RFC 6454): scheme, host, and the port unless it is the scheme's
 * own.
 */
export function faultOfOrigin(value: string): string | undefined {
  if (value === '*') return undefined;
  if (value.toLowerCase() === 'null')
    return '"null" is the origin of every sandboxed frame and local file: list real origins';
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/[^/]/i.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined || !URL.canParse(value))
    return `${JSON.stringify(value)} is not an origin: write scheme://host or scheme://host:port`;
  if (value.includes('*'))
    return `${JSON.stringify(value)}: * is not allowed within an origin; list the origins, or use * alone for all`;
  const { protocol, host, origin } = new URL(value);
  // URL gives no origin for other schemes (capacitor://localhost, browser extensions).
  const expected = scheme === 'http' || scheme === 'https' ? origin : `${protocol}//${host}`;
  return value === expected
    ? undefined
    : `${JSON.stringify(value)} is not an origin as browsers send it: write ${expected}`;
}

/** The items of a comma-separated list. */
export const listed = (value: string): readonly string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** A comma-separated list of origins, or * alone; empty text is an empty list. */
export const origins = (): z.ZodType<readonly string[]> =>
  checked((value) => {
    const list = listed(value);
    if (list.includes('*') && list.length > 1)
      return 'must be * alone or a list of origins: * allows every origin';
    const faults = list.flatMap((part) => faultOfOrigin(part) ?? []);
    return faults.length === 0
      ? undefined
      : `must be a comma-separated list of origins: ${faults.join('; ')}`;
  }).transform(listed);

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$/i;
const isHostName = (value: string): boolean => HOST_NAME.test(value) && !/^[\d.]+$/.test(value);

/** An address or host name to listen on, without port and scheme. */
export const listenHost = (): z.ZodType<string> =>
  checked((value) =>
    isIP(value) !== 0 || isHostName(value)
      ? undefined
      : 'must be an IP address or a host name, without port, scheme or brackets',
  );

/** A comma-separated list of host names; empty text is an empty list. */
export const hostNames = (): z.ZodType<readonly string[]> =>
  checked((value) =>
    listed(value).every(isHostName)
      ? undefined
      : 'must be a comma-separated list of host names, without port and scheme',
  ).transform(listed);

/** A comma-separated list of web origins, each named: no *. */
export const pageOrigins = (): z.ZodType<readonly string[]> =>
  checked((value) => {
    const faults = listed(value).flatMap((part) => faultOfPageOrigin(part) ?? []);
    return faults.length === 0
      ? undefined
      : `must be a comma-separated list of origins: ${faults.join('; ')}`;
  }).transform(listed);

function faultOfPageOrigin(value: string): string | undefined {
  if (value.includes('*')) return '* is not allowed here: list the origins of your own pages';
  const fault = faultOfOrigin(value);
  if (fault !== undefined) return fault;
  return /^https?:/.test(value)
    ? undefined
    : `${JSON.stringify(value)} is not the origin of a web page: it must be https:// or http://`;
}

/**
 * Whether two URLs can be of one site, in the sense of SameSite cookies: the same scheme, and the
 * same host or the same last two labels. The list of public suffixes decides finally: two hosts
 * under co.uk pass here, and the browser keeps the cookie from them.
 */
export function mayBeSameSite(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  if (a.protocol !== b.protocol) return false;
  if (a.hostname === b.hostname) return true;
  const isName = ({ hostname }: URL) => isIP(hostname.replace(/^\[|\]$/g, '')) === 0;
  const site = ({ hostname }: URL) => hostname.split('.').slice(-2).join('.');
  return isName(a) && isName(b) && site(a) === site(b) && site(a).includes('.');
}

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * The ops port has no sign-in: every client that reaches it may read it. A browser of such a person
 * runs pages of anybody, which could send requests to it, or have a name of theirs resolve to its
 * address (DNS rebinding) and so read it as their own. Returns why a request is refused.
 */
export type RefusalOf = (request: IncomingMessage, path: string) => string | undefined;

/** `names`: by which the port may be opened, besides localhost and addresses. */
export function createRefusals(names: readonly string[]): RefusalOf {
  const listed = new Set(names.map((name) => name.toLowerCase()));
  const isOwn = (name: string) => name === 'localhost' || isIP(name) !== 0 || listed.has(name);
  return ({ headers }, path) => {
    if (isForeign(headers, path, listed)) return 'The request comes from a page of another site.';
    if (!isOfPage(path) && !isOfBrowser(headers)) return undefined;
    return isOwn(nameIn(headers.host))
      ? undefined
      : 'The name in Host is unknown: use an address or localhost, or list the name in OPS_NAMES.';
  };
}

const isOfPage = (path: string) => path === '/' || path.startsWith('/ops/');

/**
 * Scrapes and probes may use any name, of a service or a host. Every browser sends the first of
 * these, and a page cannot leave it out. (Node's fetch sends it too.)
 */
const isOfBrowser = (headers: IncomingHttpHeaders) =>
  headers['accept-language'] !== undefined || headers['sec-fetch-site'] !== undefined;

/**
 * Browsers send Sec-Fetch-Site to localhost and over HTTPS, and Origin elsewhere too. Behind a
 * proxy that changes Host, Origin has the listed name.
 */
function isForeign(
  headers: IncomingHttpHeaders,
  path: string,
  listed: ReadonlySet<string>,
): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') return !isOpened(headers, path);
  if (site !== undefined || origin === undefined) return false;
  const from = origin.replace(/^https?:\/\//, '');
  return from !== host && !listed.has(nameIn(from));
}

/** A link to the page, which opens it in a tab. It shows nothing to the page that has the link. */
const isOpened = (headers: IncomingHttpHeaders, path: string) =>
  path === '/' &&
  headers['sec-fetch-mode'] === 'navigate' &&
  headers['sec-fetch-dest'] === 'document';

/** Without port, brackets and final dot. */
const nameIn = (host = '') =>
  (
    /^(?:\[([^\]]*)\]|([^:]*?)\.?)(?::\d{1,5})?$/.exec(host)?.slice(1).find(Boolean) ?? ''
  ).toLowerCase();

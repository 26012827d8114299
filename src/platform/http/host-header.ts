import type { IncomingMessage } from 'node:http';
import type { Problem } from '../../kernel/errors';
import { hostInvalid, hostMissing } from './early-problems';

/** RFC 3986 §3.2.2 and §3.2.3: a name, an address or one in brackets, and a port. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-f:.v]+\])(?::\d{0,5})?$/i;

/** RFC 9112 §3.2: an HTTP/1.1 request has one Host header, a valid one. */
export function faultOfHost({
  headers,
  rawHeaders,
  httpVersion,
}: IncomingMessage): Problem | undefined {
  const { host } = headers;
  if (host === undefined) return httpVersion === '1.1' ? hostMissing() : undefined;
  return HOST.test(host) && isAlone(rawHeaders) ? undefined : hostInvalid();
}

/** Names and values alternate. */
function isAlone(rawHeaders: readonly string[]): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') count += 1;
  return count === 1;
}

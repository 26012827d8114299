import type { CustomFetch } from 'openid-client';
import { timed } from '../../../platform/telemetry/request-work';

/** Metadata and key sets of real providers have at most a few kilobytes. */
const MAX_BYTES = 256 * 1024;
/** Statuses whose responses have no body (Fetch standard). */
const EMPTY = new Set([101, 204, 205, 304]);

/**
 * For requests to providers: no redirect is followed, and an answer that is longer than
 * `maxBytes`, after its decompression, is an error. The caller's signal bounds the body as well.
 */
export const createBoundedFetch =
  (maxBytes = MAX_BYTES): CustomFetch =>
  (url, options) =>
    timed('provider', () => fetchBounded(url, options, maxBytes));

async function fetchBounded(
  url: string,
  { body, ...options }: Parameters<CustomFetch>[1],
  maxBytes: number,
): Promise<Response> {
  const response = await fetch(url, {
    ...options,
    redirect: 'manual',
    ...(body === undefined || body === null ? {} : { body: body as string }),
  });
  const { status, statusText, headers } = response;
  if (response.body === null || EMPTY.has(status)) return response;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new OversizedAnswerError(`more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return new Response(Buffer.concat(parts), { status, statusText, headers });
}

class OversizedAnswerError extends Error {
  override readonly name = 'OversizedAnswerError';
}

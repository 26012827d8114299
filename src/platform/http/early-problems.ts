import { Problem, problems } from '../../kernel/errors';

/** The error of http.Server's event `clientError`. */
export interface ConnectionError extends Error {
  readonly code?: string;
  /** The bytes that could not be parsed. */
  readonly rawPacket?: Buffer;
}

const badRequest = () =>
  problems.malformed('malformed_request', 'The request is not valid HTTP/1.1.');

export function problemOfConnection({ code }: ConnectionError): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem(431, 'headers_too_large', 'Request header fields too large', {
        detail: 'The headers of the request are larger than this service accepts.',
      });
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new Problem(413, 'body_too_large', 'Content too large', {
        detail: 'The chunk extensions of the body are too large.',
      });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem(408, 'request_timeout', 'Request timeout', {
        detail: 'The request did not arrive in time.',
      });
    default:
      return badRequest();
  }
}

export const unknownExpectation = () =>
  new Problem(417, 'unknown_expectation', 'Expectation failed', {
    detail: 'The only supported expectation is 100-continue.',
  });

/** `CONNECT`, which is for proxies. */
export const noTunnel = () =>
  problems.malformed('malformed_request', 'This service opens no tunnels (CONNECT).');

/** RFC 9112 §3.2: an HTTP/1.1 request has a Host header. */
export const hostMissing = () =>
  problems.malformed('host_required', 'The request has no Host header.');

/** The same section: one, and a valid one. */
export const hostInvalid = () =>
  problems.malformed('malformed_request', 'The request has more than one Host, or no valid one.');

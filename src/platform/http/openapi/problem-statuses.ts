import type { ResponseHeader } from '../response-headers';

interface ProblemStatus {
  readonly name: string;
  readonly description: string;
  readonly headers?: Readonly<Partial<Record<ResponseHeader, string>>>;
}

const RETRY = { 'Retry-After': 'Seconds to wait before the next attempt.' };
const CHALLENGE = { 'WWW-Authenticate': 'Challenge (RFC 6750 §3).' };

/** The problem statuses of operations. */
export const PROBLEM_STATUSES: Readonly<Record<number, ProblemStatus>> = {
  400: { name: 'BadRequest', description: 'The request is malformed.' },
  401: {
    name: 'Unauthorized',
    description: 'Not signed in, or the credentials are not valid.',
    headers: CHALLENGE,
  },
  403: { name: 'Forbidden', description: 'Not allowed for this user.', headers: CHALLENGE },
  404: { name: 'NotFound', description: 'There is no such resource.' },
  406: {
    name: 'NotAcceptable',
    description: 'The client does not accept JSON.',
  },
  408: { name: 'RequestTimeout', description: 'The request did not arrive in time.' },
  409: {
    name: 'Conflict',
    description: 'The request conflicts with the current state.',
    headers: RETRY,
  },
  410: { name: 'Gone', description: 'It is no longer there.' },
  412: { name: 'PreconditionFailed', description: 'The resource has changed.' },
  413: { name: 'ContentTooLarge', description: 'The body is too large.' },
  415: {
    name: 'UnsupportedMediaType',
    description: 'The body is not of a supported media type or encoding.',
    headers: {
      Accept: 'Media types that the operation accepts.',
      'Accept-Encoding': 'Content encodings that the operation accepts.',
    },
  },
  417: {
    name: 'ExpectationFailed',
    description: 'The only supported expectation is 100-continue.',
  },
  422: { name: 'UnprocessableContent', description: 'Fields are not valid.' },
  429: {
    name: 'TooManyRequests',
    description: 'Too many requests; wait for Retry-After seconds.',
    headers: RETRY,
  },
  431: { name: 'RequestHeaderFieldsTooLarge', description: 'The headers are too large.' },
  500: { name: 'InternalServerError', description: 'The service failed unexpectedly.' },
  503: {
    name: 'ServiceUnavailable',
    description: 'Temporarily unavailable; try again after Retry-After seconds.',
    headers: RETRY,
  },
};

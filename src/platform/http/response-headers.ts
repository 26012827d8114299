interface Header {
  readonly description: string;
  readonly required?: true;
  readonly schema: Readonly<Record<string, unknown>>;
}

export const headerText = (maxLength: number, ...examples: string[]) => ({
  type: 'string',
  maxLength,
  examples,
});
const seconds = {
  type: 'integer',
  format: 'int32',
  minimum: 0,
  maximum: 2_147_483_647,
  examples: [1],
};

/** The response headers for clients; CORS exposes them (cors.ts). */
export const RESPONSE_HEADERS = {
  'X-Request-Id': {
    description:
      'Id of the request, also in the log: the received value when it is well-formed, else a new one.',
    required: true,
    schema: headerText(128, '044c7f48-4144-8056-8731-a989e00bc07a'),
  },
  RateLimit: {
    description:
      'The remaining quota of each limit, and the seconds until its reset (draft-ietf-httpapi-ratelimit-headers-08).',
    schema: headerText(512, '"client"; r=5998; t=50'),
  },
  'RateLimit-Policy': {
    description: 'The limits: requests (q) in a window of seconds (w).',
    schema: headerText(512, '"client"; q=6000; w=60; pk=:OTk2ZTFmMjNkNDg5:'),
  },
  'Retry-After': { description: 'Seconds to wait before the next attempt.', schema: seconds },
  ETag: {
    description: 'Entity tag, for `If-None-Match` and `If-Match`.',
    schema: headerText(128, '"652f1c3e9b1d4a0012ab34cd.1"'),
  },
  Location: {
    description: 'Path of the created resource, or the URL that the browser goes to.',
    schema: headerText(4096, '/api/users/652f1c3e9b1d4a0012ab34cd'),
  },
  Link: {
    description: 'Links to other pages (RFC 8288).',
    schema: headerText(8192, '</api/users?cursor=WyJuYW1l>; rel="next"'),
  },
  'Cache-Control': {
    description: 'Caching rules of the response.',
    schema: headerText(128, 'private, no-cache'),
  },
  'WWW-Authenticate': {
    description: 'Challenge (RFC 6750 §3).',
    schema: headerText(512, 'Bearer realm="api", error="invalid_token"'),
  },
  'Set-Cookie': {
    description:
      'The refresh token of a page in BROWSER_ORIGINS that asked for the cookie; or its removal.',
    schema: headerText(
      512,
      '__Host-refresh_token=kq8Z3x…; Max-Age=1209600; Path=/; Secure; HttpOnly; SameSite=Strict',
    ),
  },
  'Idempotent-Replayed': {
    description: '`true` when the response repeats the first one to the same `Idempotency-Key`.',
    schema: { type: 'string', enum: ['true'] },
  },
  Accept: {
    description: 'Media types that the operation accepts.',
    schema: headerText(256, 'application/json'),
  },
  'Accept-Encoding': {
    description: 'Content encodings that the operation accepts.',
    schema: headerText(64, 'identity'),
  },
  'Access-Control-Allow-Origin': {
    description: 'The origin that may read the response, when it is one of CORS_ORIGINS.',
    schema: headerText(2048, 'https://app.example.org'),
  },
} as const satisfies Readonly<Record<string, Header>>;

export type ResponseHeader = keyof typeof RESPONSE_HEADERS;

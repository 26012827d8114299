export interface Meaning {
  readonly status: number;
  readonly meaning: string;
}

/** The codes of limits, and of failures of the service itself (problem-codes.ts). */
export const SERVER_CODES = {
  rate_limited: { status: 429, meaning: 'Too many requests from this address.' },
  too_many_attempts: { status: 429, meaning: 'Too many attempts have failed.' },
  too_many_mails: {
    status: 429,
    meaning: 'Too many mails of this kind were sent to the account within the hour.',
  },
  too_many_refreshes: {
    status: 429,
    meaning: 'The session was refreshed too often within a few seconds.',
  },
  too_many_jobs: { status: 429, meaning: 'Too many jobs are waiting.' },
  too_many_streams: { status: 429, meaning: 'Too many clients follow jobs or events.' },
  headers_too_large: { status: 431, meaning: 'The headers are larger than this service accepts.' },
  internal_error: { status: 500, meaning: 'The service failed unexpectedly.' },
  oidc_answer_invalid: { status: 502, meaning: 'The answer of the provider failed a check.' },
  oidc_provider_unavailable: {
    status: 503,
    meaning: 'The provider did not answer, or not in time.',
  },
  database_unavailable: { status: 503, meaning: 'The database cannot be reached.' },
  index_missing: {
    status: 503,
    meaning: 'The database lacks an index that the query needs; an operator has to create it.',
  },
  signing_keys_unavailable: {
    status: 503,
    meaning: 'The keys to verify access tokens with cannot be read.',
  },
  overloaded: { status: 503, meaning: 'The service is overloaded.' },
  write_unconfirmed: {
    status: 503,
    meaning: 'The change may have been made, but may not be visible everywhere yet.',
  },
  contended: { status: 503, meaning: 'Too many concurrent writes to this user.' },
  busy: { status: 503, meaning: 'Another change of this kind is in progress.' },
  not_attempted: {
    status: 503,
    meaning: 'Of one item of several: the time was over before it was begun; nothing was changed.',
  },
  hash_queue_full: { status: 503, meaning: 'Too many passwords are being checked.' },
  password_check_unavailable: {
    status: 503,
    meaning: 'The list of compromised passwords cannot be read.',
  },
  mail_queue_full: { status: 503, meaning: 'Too many mails are waiting.' },
} as const satisfies Readonly<Record<string, Meaning>>;

import { createHmac, hkdfSync } from 'node:crypto';
import type { Request } from 'express';
import { Problem, problems } from '../../kernel/errors';
import type { Logger } from '../telemetry/logger';
import { networkOf } from './client-networks';
import type { Reply } from './endpoint';
import type { EncryptedAnswer, Granted, IdempotencyStore, Lifetimes } from './idempotency-store';
import { PROBLEM_TYPE, problemBody } from './problem';

/**
 * draft-ietf-httpapi-idempotency-key-header: a repeated POST with the same key gets the first
 * response again, and the work is done once. A key belongs to one caller's scope (without a token:
 * to one network), method and path.
 */
export interface Idempotency {
  /** Runs `work`, or returns the response to the first request with this key. */
  run(req: Request, key: string, work: () => Reply | Promise<Reply>): Promise<Reply>;
}

export interface IdempotencyOptions {
  readonly store: IdempotencyStore;
  /** At least 32 bytes, the same on every host. */
  readonly secret: string;
  readonly encrypt: (secret: Buffer, context: string, plain: Buffer) => EncryptedAnswer;
  readonly decrypt: (secret: Buffer, context: string, encrypted: EncryptedAnswer) => Buffer;
  readonly log: Logger;
  /** Lifetime of responses to signed-in clients that contain no secret. */
  readonly ttlSeconds: number;
  /**
   * Lifetime of all other responses: to clients without a token, refusals, and secrets that are
   * shown once (Cache-Control: no-store).
   */
  readonly shortTtlSeconds: number;
}

const CHARACTERS = 'A-Za-z0-9._~:/+=-';
/** The draft requires a quoted string; most clients send the bare form. */
export const IDEMPOTENCY_KEY_PATTERN = `^("[${CHARACTERS}]{8,128}"|[${CHARACTERS}]{8,128})$`;
const KEY = new RegExp(IDEMPOTENCY_KEY_PATTERN);
/** Larger responses are not stored; no POST of this service has one. */
const ANSWER_MAX_BYTES = 65_536;

/** Transient responses are not stored: a retry may get another one. */
const isTransient = ({ status, body }: StoredResponse) =>
  status >= 500 ||
  status === 408 ||
  status === 425 ||
  status === 429 ||
  (status === 409 && body?.includes('"request_in_flight"') === true);

const invalidIdempotencyKey = () =>
  problems.malformed(
    'invalid_idempotency_key',
    'Idempotency-Key must be 8 to 128 letters, digits or any of . _ ~ : / + = -, for example a UUID.',
  );

const otherRequest = () =>
  new Problem(422, 'idempotency_key_reused', 'Unprocessable content', {
    detail: 'Another request was sent with this Idempotency-Key: a new request needs a new key.',
  });

const inFlight = (retryAfterSeconds: number) =>
  new Problem(409, 'request_in_flight', 'Conflict', {
    detail: 'The first request with this Idempotency-Key is still in progress.',
    headers: { 'Retry-After': String(retryAfterSeconds) },
  });

const answerExpired = () =>
  new Problem(409, 'answer_no_longer_kept', 'Conflict', {
    detail:
      'The request with this Idempotency-Key was done. Its response contained a secret and is no longer stored.',
  });

interface StoredResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export function createIdempotency(options: IdempotencyOptions): Idempotency {
  const { store, secret, encrypt, decrypt, log, ttlSeconds } = options;
  const shortSeconds = Math.min(options.shortTtlSeconds, ttlSeconds);

  /**
   * Derived from the client's key as well: the database and this service's secret do not suffice to
   * decrypt a response.
   */
  const secretOf = (key: string, use: string) =>
    Buffer.from(hkdfSync('sha256', secret, key, `idempotency ${use}`, 32));

  function identify(req: Request, given: string) {
    if (!KEY.test(given)) throw invalidIdempotencyKey();
    const key = given.replaceAll('"', '');
    const scope = [scopeOf(req), req.method, req.path, key].join('\n');
    const id = createHmac('sha256', secretOf('', 'name')).update(scope).digest('hex');
    const fingerprint = createHmac('sha256', secretOf(key, 'fingerprint'))
      .update(contentOf(req))
      .digest();
    return { id, fingerprint, secret: secretOf(key, 'answer') };
  }

  /** Requests without an account and refused requests must not fill the store for a day. */
  function lifetimesOf(req: Request, { status, headers }: StoredResponse): Lifetimes {
    if (req.context.principal === undefined || status >= 400)
      return { answerSeconds: shortSeconds, keySeconds: shortSeconds };
    return {
      answerSeconds:
        headers['Cache-Control']?.includes('no-store') === true ? shortSeconds : ttlSeconds,
      keySeconds: ttlSeconds,
    };
  }

  async function saveResponse(
    claim: Granted,
    answerSecret: Buffer,
    response: StoredResponse,
    lifetimes: Lifetimes,
  ): Promise<void> {
    const plain = Buffer.from(JSON.stringify(response));
    try {
      if (isTransient(response) || plain.length > ANSWER_MAX_BYTES) await store.release(claim);
      else await store.finish(claim, encrypt(answerSecret, claim.id, plain), lifetimes);
    } catch (error) {
      // The work is done, so the client gets its response. A repeat does the work again after the
      // lease has ended.
      log.warn({ err: error }, 'response to a request with an Idempotency-Key not stored');
    }
  }

  return {
    async run(req, given, work) {
      const { id, fingerprint, secret: answerSecret } = identify(req, given);
      const claim = await store.claim(id, fingerprint);
      if (claim.kind === 'other_request') throw otherRequest();
      if (claim.kind === 'in_flight') throw inFlight(claim.retryAfterSeconds);
      if (claim.kind === 'answer_expired') throw answerExpired();
      if (claim.kind === 'answered')
        return replayed(
          JSON.parse(decrypt(answerSecret, id, claim.answer).toString('utf8')) as StoredResponse,
        );
      req.context.newId = claim.newId;
      try {
        const reply = await store.whileHeld(claim, work);
        const response = storedResponseOf(reply);
        await saveResponse(claim, answerSecret, response, lifetimesOf(req, response));
        return reply;
      } catch (error) {
        const response =
          error instanceof Problem
            ? storedProblem(error, req.context.id)
            : { status: 500, headers: {}, body: null };
        await saveResponse(claim, answerSecret, response, lifetimesOf(req, response));
        throw error;
      }
    },
  };
}

/**
 * Claims a key under each secret of the deployment, always in the same order. So hosts that have
 * only the old or the new secret, during a change of secrets, find the claims and responses of the
 * others.
 */
export const underAll = (idempotencies: readonly Idempotency[]): Idempotency =>
  idempotencies.reduceRight((inner, outer) => ({
    run: (req, key, work) => outer.run(req, key, () => inner.run(req, key, work)),
  }));

function scopeOf(req: Request): string {
  const { principal } = req.context;
  return principal === undefined ? `network ${networkOf(req)}` : principal.idempotencyScope;
}

/** The content of the fingerprint. Public endpoints may read credentials from Authorization. */
function contentOf(req: Request): string {
  const authorization =
    req.context.principal === undefined ? (req.headers.authorization ?? null) : null;
  // An answer with a cookie is not repeated to a request that does not ask for one.
  const binding = req.context.tokenBinding;
  const content = [req.originalUrl, authorization, req.body ?? null];
  return JSON.stringify(binding === undefined ? content : [...content, binding]);
}

function storedResponseOf({ status, headers = {}, body }: Reply): StoredResponse {
  const text =
    body === undefined
      ? null
      : Buffer.isBuffer(body)
        ? body.toString('utf8')
        : JSON.stringify(body);
  return { status, headers, body: text };
}

const storedProblem = (problem: Problem, requestId: string): StoredResponse => ({
  status: problem.status,
  headers: { ...problem.headers, 'Content-Type': PROBLEM_TYPE, 'Cache-Control': 'no-store' },
  body: JSON.stringify(problemBody(problem, requestId)),
});

const replayed = ({ status, headers, body }: StoredResponse): Reply => ({
  status,
  headers: { ...headers, 'Idempotent-Replayed': 'true' },
  ...(body === null ? {} : { body: Buffer.from(body) }),
});

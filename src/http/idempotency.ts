import { createHmac, hkdfSync } from 'node:crypto';
import type { Request } from 'express';
import type { Granted, IdempotencyStore, SealedAnswer } from '../data/idempotency';
import { Problem, problems } from '../errors';
import type { Logger } from '../observability/logger';
import type { Reply } from './endpoint';
import { PROBLEM_TYPE, problemBody } from './problem';
import { clientKey } from './rate-limit';

/**
 * draft-ietf-httpapi-idempotency-key-header: a POST that is sent again with the same key gets the first answer again,
 * and its work is done once. A key belongs to one caller, method and path.
 */
export interface Idempotency {
  /** Runs `work`, or answers as the first request with this key was answered. */
  run(req: Request, key: string, work: () => Reply | Promise<Reply>): Promise<Reply>;
}

export interface IdempotencyOptions {
  readonly store: IdempotencyStore;
  /** At least 32 bytes, the same on every host. */
  readonly secret: string;
  readonly seal: (secret: Buffer, context: string, plain: Buffer) => SealedAnswer;
  readonly unseal: (secret: Buffer, context: string, sealed: SealedAnswer) => Buffer;
  readonly log: Logger;
}

const CHARACTERS = 'A-Za-z0-9._~:/+=-';
/** The draft has a quoted string; the bare form is what most clients send. */
export const IDEMPOTENCY_KEY_PATTERN = `^("[${CHARACTERS}]{8,128}"|[${CHARACTERS}]{8,128})$`;
const KEY = new RegExp(IDEMPOTENCY_KEY_PATTERN);
/** Larger answers are not kept; no POST of this service has one. */
const ANSWER_MAX_BYTES = 65_536;

/** The same request may well be answered otherwise a moment later: these are not kept. */
const isPassing = (status: number) => status >= 500 || status === 408 || status === 425 || status === 429;

export const invalidIdempotencyKey = () =>
  problems.malformed('invalid_idempotency_key', 'Idempotency-Key must be 8 to 128 letters, digits or any of . _ ~ : / + = - (a UUID is).');

const otherRequest = () =>
  new Problem(422, 'idempotency_key_reused', 'Unprocessable content', {
    detail: 'Another request was sent with this Idempotency-Key: a new request needs a new key.',
  });

const inFlight = (retryAfterSeconds: number) =>
  new Problem(409, 'request_in_flight', 'Conflict', {
    detail: 'The first request with this Idempotency-Key is still being worked on.',
    headers: { 'Retry-After': String(retryAfterSeconds) },
  });

interface Kept {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export function createIdempotency({ store, secret, seal, unseal, log }: IdempotencyOptions): Idempotency {
  /** Bound to the client's key as well: who reads the database, even with our secret, cannot open an answer without it. */
  const secretOf = (key: string, use: string) => Buffer.from(hkdfSync('sha256', secret, key, `idempotency ${use}`, 32));

  function identify(req: Request, given: string) {
    if (!KEY.test(given)) throw invalidIdempotencyKey();
    const key = given.replaceAll('"', '');
    const scope = [scopeOf(req), req.method, req.path, key].join('\n');
    const id = createHmac('sha256', secretOf('', 'name')).update(scope).digest('hex');
    const fingerprint = createHmac('sha256', secretOf(key, 'fingerprint')).update(contentOf(req)).digest();
    return { id, fingerprint, secret: secretOf(key, 'answer') };
  }

  async function keep(claim: Granted, answerSecret: Buffer, kept: Kept): Promise<void> {
    const plain = Buffer.from(JSON.stringify(kept));
    try {
      if (isPassing(kept.status) || plain.length > ANSWER_MAX_BYTES) await store.release(claim);
      else await store.finish(claim, seal(answerSecret, claim.id, plain));
    } catch (error) {
      // What was asked for is done, and its caller must hear so. A repeat is done anew once the lease is over.
      log.warn({ err: error }, 'the answer to a request with an Idempotency-Key could not be kept');
    }
  }

  return {
    async run(req, given, work) {
      const { id, fingerprint, secret: answerSecret } = identify(req, given);
      const claim = await store.claim(id, fingerprint);
      if (claim.kind === 'other_request') throw otherRequest();
      if (claim.kind === 'in_flight') throw inFlight(claim.retryAfterSeconds);
      if (claim.kind === 'answered') return replayed(JSON.parse(unseal(answerSecret, id, claim.answer).toString('utf8')) as Kept);
      try {
        const reply = await work();
        await keep(claim, answerSecret, keptOf(reply));
        return reply;
      } catch (error) {
        await keep(claim, answerSecret, error instanceof Problem ? keptProblem(error, req.id) : { status: 500, headers: {}, body: null });
        throw error;
      }
    },
  };
}

const scopeOf = (req: Request) => (req.principal === undefined ? `network ${clientKey(req)}` : `user ${req.principal.userId}`);

/** What makes two requests the same one. Public endpoints may take credentials from Authorization. */
function contentOf(req: Request): string {
  const authorization = req.principal === undefined ? (req.headers.authorization ?? null) : null;
  return JSON.stringify([req.originalUrl, authorization, req.body ?? null]);
}

function keptOf({ status, headers = {}, body }: Reply): Kept {
  const text = body === undefined ? null : Buffer.isBuffer(body) ? body.toString('utf8') : JSON.stringify(body);
  return { status, headers, body: text };
}

const keptProblem = (problem: Problem, requestId: string): Kept => ({
  status: problem.status,
  headers: { ...problem.headers, 'Content-Type': PROBLEM_TYPE, 'Cache-Control': 'no-store' },
  body: JSON.stringify(problemBody(problem, requestId)),
});

const replayed = ({ status, headers, body }: Kept): Reply => ({
  status,
  headers: { ...headers, 'Idempotent-Replayed': 'true' },
  ...(body === null ? {} : { body: Buffer.from(body) }),
});

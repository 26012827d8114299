import type { Request, RequestHandler } from 'express';
import getRawBody from 'raw-body';
import { Problem, problems } from '../../kernel/errors';
import { parseJsonText } from './json-text';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const JSON_ONLY = ['application/json'] as const;

/**
 * Strict RFC 8259: valid UTF-8 only, no BOM, any value at the top level (the validator checks its
 * type). express.json would replace invalid bytes and read an empty body as `{}`; here both are
 * 400.
 */
export function jsonBody(
  limitBytes: number,
  mediaTypes: readonly string[] = JSON_ONLY,
): RequestHandler[] {
  return [bodyReader(limitBytes, mediaTypes, parseJson)];
}

/** The same, but an empty body of any media type counts as `{}`. */
export function optionalJsonBody(limitBytes: number): RequestHandler[] {
  const reader = bodyReader(limitBytes, JSON_ONLY, (body) =>
    body.length === 0 ? {} : parseJson(body),
  );
  return [
    (req, res, next) => {
      if (isEmpty(req)) {
        req.body = {};
        next();
      } else reader(req, res, next);
    },
  ];
}

export const bodyTooLarge = (limitBytes: number) =>
  new Problem(413, 'body_too_large', 'Content too large', {
    detail: `The request body is larger than ${limitBytes} bytes.`,
    extensions: { limit_bytes: limitBytes },
    // The rest of the body is not read.
    headers: { Connection: 'close' },
  });

/** Throws 413 before the first byte. */
export function assertDeclaredLength({ headers }: Request, limitBytes: number): void {
  if (Number(headers['content-length']) > limitBytes) throw bodyTooLarge(limitBytes);
}

/**
 * Reads the body up to the limit. body-parser would read a body that is too large to its end, at
 * the client's pace. This reader refuses it at once, and by Content-Length before it reads a byte.
 */
function bodyReader(
  limitBytes: number,
  mediaTypes: readonly string[],
  parse: (body: Buffer) => unknown,
): RequestHandler {
  return (req, _res, next) => {
    assertDeclaredLength(req, limitBytes);
    const fault = mediaTypeFault(req, mediaTypes) ?? encodingFault(req);
    if (fault !== undefined) throw fault;
    readBody(req, limitBytes, bodyTooLarge).then((body) => {
      try {
        req.body = parse(body);
      } catch (error) {
        next(error);
        return;
      }
      next();
    }, next);
  };
}

async function readBody(
  req: Request,
  limitBytes: number,
  tooLarge: (limitBytes: number) => Problem,
): Promise<Buffer> {
  // The client left before its turn came, which raw-body reports as a fault of the service.
  if (req.destroyed) throw problems.malformed('malformed_request', 'The body ended early.');
  const declared = req.headers['content-length'];
  try {
    return await getRawBody(req, {
      limit: limitBytes,
      ...(declared === undefined ? {} : { length: declared }),
    });
  } catch (error) {
    throw (error as { type?: unknown }).type === 'entity.too.large' ? tooLarge(limitBytes) : error;
  }
}

/** Known before a byte is read. */
const isEmpty = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;

/** Enough for `{}` and white space. */
const NO_BODY_BYTES = 64;
const EMPTY = /^\s*(\{\s*\})?\s*$/;

/**
 * For operations without a body: `{}` counts as none. Any other body is refused, not ignored: its
 * client would believe that the service has done what it asks for.
 */
export const noBody: RequestHandler = (req, _res, next) => {
  if (isEmpty(req)) return next();
  if (Number(req.headers['content-length']) > NO_BODY_BYTES) throw unexpectedBody();
  readBody(req, NO_BODY_BYTES, unexpectedBody).then(
    (body) => next(EMPTY.test(body.toString('latin1')) ? undefined : unexpectedBody()),
    next,
  );
};

const unexpectedBody = () =>
  problems.malformed(
    'unexpected_body',
    'This operation accepts no body. Its input is in the path and the query.',
    {
      headers: { Connection: 'close' },
    },
  );

function encodingFault(req: Request): Problem | undefined {
  const encoding = req.headers['content-encoding'];
  if (encoding === undefined || encoding.trim().toLowerCase() === 'identity') return undefined;
  return new Problem(415, 'unsupported_encoding', 'Unsupported media type', {
    detail: 'The content encoding of the body is not supported: send the body unencoded.',
    headers: { 'Accept-Encoding': 'identity' },
  });
}

export const FORM = 'application/x-www-form-urlencoded';

/**
 * For the OAuth endpoints (RFC 6749 appendix B). A repeated name has an array as value; the
 * endpoint decides about it.
 */
export function formBody(limitBytes: number): RequestHandler[] {
  return [bodyReader(limitBytes, [FORM], (body) => parseForm(body.toString('utf8')))];
}

/** One pass: `getAll` for each name would read the whole form once per name. */
export function parseForm(text: string): Record<string, string | string[]> {
  const form: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const before = form[name];
    if (before === undefined) form[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else form[name] = [before, value];
  }
  return form;
}

export function mediaTypeFault(req: Request, mediaTypes: readonly string[]): Problem | undefined {
  const header = req.headers['content-type'];
  const [type = '', ...parameters] = (header ?? '').toLowerCase().split(';');
  const charset = parameters.map((p) => p.trim()).find((p) => p.startsWith('charset='));
  const utf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (header !== undefined && mediaTypes.includes(type.trim()) && utf8) return undefined;
  return new Problem(415, 'unsupported_media_type', 'Unsupported media type', {
    detail: `The body must be ${mediaTypes.join(' or ')} in UTF-8.`,
    headers: { Accept: mediaTypes.join(', ') },
  });
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw problems.malformed('body_required', 'A JSON body is required.');
  return parseJsonText(decode(body));
}

function decode(body: Buffer): string {
  try {
    return decoder.decode(body);
  } catch (error) {
    throw problems.malformed('malformed_json', 'The body is not valid UTF-8.', { cause: error });
  }
}

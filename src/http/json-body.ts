import express, { type Request, type RequestHandler } from 'express';
import { Problem, problems } from '../errors';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Strict RFC 8259: UTF-8 only and valid, no BOM, any value at the top (the validator then says what it should have
 * been). express.json would replace bad bytes and take an empty body for `{}`; here both are 400.
 */
export function jsonBody(limitBytes: number, mediaTypes: readonly string[] = ['application/json']): RequestHandler[] {
  const read = express.raw({ type: () => true, limit: limitBytes, inflate: false });
  return [
    (req, _res, next) => {
      const fault = mediaTypeFault(req, mediaTypes);
      if (fault !== undefined) throw fault;
      next();
    },
    read,
    (req, _res, next) => {
      req.body = parseJson(req.body);
      next();
    },
  ];
}

export const FORM = 'application/x-www-form-urlencoded';

/** For the OAuth endpoints (RFC 6749 appendix B). A name that comes twice has an array: who reads it says what that means. */
export function formBody(limitBytes: number): RequestHandler[] {
  const [checkType, read] = jsonBody(limitBytes, [FORM]) as [RequestHandler, RequestHandler, RequestHandler];
  return [
    checkType,
    read,
    (req, _res, next) => {
      req.body = parseForm(Buffer.isBuffer(req.body) ? req.body.toString('utf8') : '');
      next();
    },
  ];
}

/** In one pass: `getAll` for each name would read the whole form once per name. */
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

function mediaTypeFault(req: Request, mediaTypes: readonly string[]): Problem | undefined {
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

export function parseJson(body: unknown): unknown {
  if (!Buffer.isBuffer(body) || body.length === 0) throw problems.malformed('body_required', 'A JSON body is required.');
  try {
    return JSON.parse(decoder.decode(body)) as unknown;
  } catch (error) {
    // The parser's own text quotes the body, which may hold a password.
    throw problems.malformed('malformed_json', 'The body is not valid JSON in UTF-8.', { cause: error });
  }
}

import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Request, RequestHandler } from 'express';
import { Problem, problems } from '../../kernel/errors';
import { assertDeclaredLength, mediaTypeFault } from './json-body';

/**
 * Uploads by connection: their requests may take longer than REQUEST_TIMEOUT_MS. Pipelined ones
 * overlap.
 */
const uploads = new WeakMap<object, number>();

const uploadsOf = (socket: object): number => uploads.get(socket) ?? 0;
export const isUploading = (socket: object): boolean => uploadsOf(socket) > 0;

const tooSlow = () =>
  new Problem(408, 'request_timeout', 'Request timeout', {
    detail: 'The upload did not arrive in time.',
    headers: { Connection: 'close' },
  });
const broken = (cause: unknown) =>
  problems.malformed('malformed_request', 'The body ended early, or is not valid gzip.', {
    headers: { Connection: 'close' },
    cause,
  });

export interface UploadLimits {
  readonly timeoutMs: number;
  /** Of the body as it is sent, so compressed; the handler bounds what it reads. */
  readonly maxBytes: number;
}

/** For endpoints that read their body as a stream. */
export function allowUpload(
  mediaTypes: readonly string[],
  { timeoutMs, maxBytes }: UploadLimits,
): RequestHandler {
  return (req, res, next) => {
    assertDeclaredLength(req, maxBytes);
    const fault = mediaTypeFault(req, mediaTypes) ?? encodingFault(req);
    if (fault !== undefined) throw fault;
    const { socket } = req;
    // No event would free the timer: the client left before its turn.
    if (req.destroyed || res.destroyed) throw broken(undefined);
    uploads.set(socket, uploadsOf(socket) + 1);
    const timer = setTimeout(() => req.destroy(tooSlow()), timeoutMs);
    // Nothing moves on the connection, also while the reader is busy with what has arrived.
    res.on('timeout', () => {
      const isRead = !req.complete && req.readableLength === 0;
      const waitsForClient = isRead || res.writableEnded;
      if (waitsForClient) socket.destroy();
      else restartTimeout(socket);
    });
    res.once('close', () => {
      clearTimeout(timer);
      uploads.set(socket, uploadsOf(socket) - 1);
    });
    next();
  };
}

const restartTimeout = (socket: Socket) => socket.setTimeout(socket.timeout ?? 0);

function encodingFault(req: Request): Problem | undefined {
  if (['identity', 'gzip', 'x-gzip'].includes(encodingOf(req))) return undefined;
  return new Problem(415, 'unsupported_encoding', 'Unsupported media type', {
    detail: 'The content encoding of the body is not supported: send it unencoded, or as gzip.',
    headers: { 'Accept-Encoding': 'gzip, identity' },
  });
}

const encodingOf = ({ headers }: Request): string =>
  headers['content-encoding']?.trim().toLowerCase() ?? 'identity';

/**
 * The decoded bytes of the body, as they arrive. Leaves the rest unread when the reader stops.
 * Throws a Problem for a body that broke off or is not valid gzip.
 */
export async function* openUpload(req: Request): AsyncGenerator<Buffer> {
  // Of a request whose client left before its turn came, no event follows.
  if (req.destroyed) throw broken(undefined);
  const source: Readable = encodingOf(req) === 'identity' ? req : gunzip(req);
  try {
    for await (const bytes of source.iterator({ destroyOnReturn: source !== req })) {
      yield bytes as Buffer;
      // The client's time counts from here: until now the reader was busy with what it had.
      restartTimeout(req.socket);
    }
  } catch (error) {
    throw error instanceof Problem ? error : broken(error);
  }
  if (!req.complete) throw broken(undefined);
}

function gunzip(req: Request): Readable {
  const decoded = req.pipe(createGunzip());
  req.once('close', () => {
    if (!req.complete) decoded.destroy(new Error('the connection was closed'));
  });
  req.once('error', (error) => decoded.destroy(error));
  return decoded;
}

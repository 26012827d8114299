import { ClientError } from './errors.js';
import { BODY_TYPES } from './operations.js';
import type { FileBody } from './types.js';

/** Of a request. */
export interface Content {
  readonly type?: string;
  readonly body?: FileBody;
  /** A file: its upload may take longer than one attempt. */
  readonly isFile?: boolean;
}

/** Bodies that `fetch` sends unchanged. */
const RAW = /(String|Blob|File|Array|ArrayBuffer|DataView|ReadableStream)\]$/;

/** `operation`: e.g. `POST /api/users`. */
export function contentOf(operation: string, body: unknown): Content {
  if (body === undefined) return {};
  const type = BODY_TYPES.get(operation) ?? 'application/json';
  if (!Array.isArray(body) && RAW.test(Object.prototype.toString.call(body)))
    return { type, body: body as FileBody, isFile: true };
  if (!type.endsWith('form-urlencoded')) return { type, body: JSON.stringify(body) };
  const given = Object.entries(body as object).filter(([, value]) => value !== undefined);
  return { type, body: String(new URLSearchParams(given)) };
}

/** The answer while it arrives. The call is over: from here on only the caller's signal ends it. */
export function streamed(answer: Response, signal: AbortSignal | undefined): Response {
  const reader = answer.body?.getReader();
  if (reader === undefined) return answer;
  let stop = () => {};
  const end = () => signal?.removeEventListener('abort', stop);
  const body = new ReadableStream<Uint8Array>({
    start(to) {
      stop = () => {
        to.error(new ClientError('aborted', 'The call was aborted.', signal?.reason));
        reader.cancel().catch(end);
      };
      signal?.addEventListener('abort', stop);
      if (signal?.aborted === true) stop();
    },
    async pull(to) {
      try {
        const { done, value } = await reader.read();
        if (!done) return to.enqueue(value);
        end();
        to.close();
      } catch (error) {
        end();
        throw new ClientError('network', 'The answer was cut off.', error);
      }
    },
    cancel(reason) {
      end();
      return reader.cancel(reason);
    },
  });
  return new Response(body, { status: answer.status, headers: answer.headers });
}

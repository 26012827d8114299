import { Problem } from '../../kernel/errors';

/** NGINX passes each event on at once. */
export const EVENT_STREAM_HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Type': 'text/event-stream',
  'X-Accel-Buffering': 'no',
} as const;

interface LiveStreamsOptions {
  /** Open at a time in this process: each polls the database. */
  readonly max: number;
  /** For the client that is refused: its alternative. */
  readonly refusal: string;
}

/**
 * Server-sent events (WHATWG HTML) that last for minutes. A stream throws 429 `too_many_streams`
 * with its first text where too many are open.
 */
export function createLiveStreams({ max, refusal }: LiveStreamsOptions) {
  let open = 0;
  return async function* live(texts: AsyncIterable<string>): AsyncGenerator<string> {
    if (open >= max)
      throw new Problem(429, 'too_many_streams', 'Too many requests', {
        detail: refusal,
        headers: { 'Retry-After': '10' },
      });
    open += 1;
    try {
      yield 'retry: 1000\n\n';
      yield* texts;
    } finally {
      open -= 1;
    }
  };
}

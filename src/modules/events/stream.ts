import type { EventLog, LoggedEvent } from '../../platform/event-log/event-log';
import { createLiveStreams } from '../../platform/http/live-streams';
import { viewOfEvent } from './contract';
import { eventsAfter } from './reading';
import type { Tail } from './tail';

export interface StreamOptions {
  readonly eventLog: EventLog;
  readonly tail: Tail;
  /** Of this process. */
  readonly streamsMax: number;
  /** Whether this process is about to end: streams end, and clients connect elsewhere. */
  readonly draining: () => boolean;
  readonly issuer: string;
}

const HEARTBEAT_MS = 10_000;
/** Between two looks whether the stream is to end. */
const WAIT_MS = 500;
const READ_MAX = 500;

export interface StreamRequest {
  readonly after: number;
  readonly types: readonly string[] | undefined;
  readonly forSeconds: number;
  /** Whether the client may still read: its token ends before the stream does. */
  readonly isAllowed: () => Promise<boolean>;
  /** Aborts when the client is gone. */
  readonly closed: AbortSignal;
}

/** Server-sent events (WHATWG HTML), from `after` on. */
export function createEventStream(options: StreamOptions) {
  const { eventLog, tail, streamsMax, draining, issuer } = options;
  const live = createLiveStreams({
    max: streamsMax,
    refusal: 'Too many clients follow events on this worker. Read /api/events instead.',
  });

  async function* following({
    after,
    types,
    forSeconds,
    isAllowed,
    closed,
  }: StreamRequest): AsyncGenerator<string> {
    const endMs = performance.now() + forSeconds * 1000;
    let position = after;
    let sentMs = performance.now();
    const isOver = () => draining() || closed.aborted || performance.now() >= endMs;
    while (!isOver() && (await isAllowed())) {
      const page = await eventsAfter(eventLog, position, { limit: READ_MAX, types });
      // The next request is told so: it goes on after the last event that was sent.
      if (page === undefined) return;
      position = page.seen;
      const text = page.found.map(textOf).join('') || heartbeatAfter(sentMs, position);
      if (text !== '') {
        sentMs = performance.now();
        yield text;
      }
      if (!page.hasMore) await tail.hasAfter(position, WAIT_MS);
    }
  }

  const textOf = (event: LoggedEvent) =>
    `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(viewOfEvent(issuer, event))}\n\n`;

  return (request: StreamRequest): AsyncGenerator<string> => live(following(request));
}

/** Names the place to go on from, if nothing of its types comes for long. */
const heartbeatAfter = (sentMs: number, sequence: number) =>
  performance.now() - sentMs > HEARTBEAT_MS ? `id: ${sequence}\n: alive\n\n` : '';

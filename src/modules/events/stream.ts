import type { EventLog, LoggedEvent } from '../../platform/event-log/event-log';
import { createLiveStreams } from '../../platform/http/live-streams';
import { viewOfEvent } from './contract';
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

  /** The next events of these types, and the sequence up to which they are all of them. */
  async function next(after: number, types: readonly string[] | undefined) {
    const upTo = await eventLog.latest();
    const only = types === undefined ? {} : { types };
    const found = await eventLog.read(after, { limit: READ_MAX, upTo, ...only });
    const isAll = found.length < READ_MAX;
    return { found, isAll, seen: isAll ? upTo : (found.at(-1)?.sequence ?? upTo) };
  }

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
      const { found, isAll, seen } = await next(position, types);
      position = seen;
      const isSilent = performance.now() - sentMs > HEARTBEAT_MS;
      if (found.length > 0 || isSilent) {
        sentMs = performance.now();
        yield found.length > 0 ? found.map(textOf).join('') : heartbeat(position);
      }
      if (isAll) await tail.hasAfter(position, WAIT_MS);
    }
  }

  const textOf = (event: LoggedEvent) =>
    `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(viewOfEvent(issuer, event))}\n\n`;

  return (request: StreamRequest): AsyncGenerator<string> => live(following(request));
}

/** Names the place to go on from, if nothing of its types comes for long. */
const heartbeat = (sequence: number) => `id: ${sequence}\n: alive\n\n`;

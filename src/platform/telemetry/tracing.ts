import type { Closable } from '../../kernel/lifecycle';

export type Attributes = Readonly<Record<string, string | number | boolean>>;
export type SpanKind = 'internal' | 'server' | 'client';

/** One step of a trace. Ended once; later calls do nothing. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** False: it only passes on the ids, because its trace is not sampled. */
  readonly isRecorded: boolean;
  rename(name: string): void;
  set(attributes: Attributes): void;
  /** Marks it as failed. Only the type of the error is recorded: a message may quote data. */
  fail(type: string): void;
  end(): void;
}

type IncomingHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Traces of this process. Spans are made only within a recorded trace: `child` answers undefined
 * where there is none, so that the work of timers leaves no trace.
 */
export interface Tracing extends Closable {
  /** False: nothing is loaded, and every other member does nothing. */
  readonly isOn: boolean;
  /** The span of a request; `headers` may name its parent (W3C Trace Context). */
  serve(name: string, headers: IncomingHeaders, attributes: Attributes): Span | undefined;
  /** A child of the active span. */
  child(name: string, attributes?: Attributes, kind?: SpanKind): Span | undefined;
  /** Later work for the span that `origin` names: its child. */
  follow(name: string, origin: string | undefined, attributes?: Attributes): Span | undefined;
  /** Work with a trace of its own, linked to the span that `origin` names. */
  begin(name: string, origin: string | undefined, attributes?: Attributes): Span | undefined;
  /** The active span as `traceparent`, to be kept with work for later. */
  origin(): string | undefined;
  /** Runs `work` with this active span; undefined: with none. */
  activate<T>(span: Span | undefined, work: () => T): T;
  /** Spans since the start: ended, and dropped by their reason. */
  counts(): SpanCounts;
}

export interface SpanCounts {
  readonly exported: number;
  readonly queueFull: number;
  readonly exportFailed: number;
}

const NO_COUNTS: SpanCounts = { exported: 0, queueFull: 0, exportFailed: 0 };
const none = () => undefined;

/** The default. */
export const NO_TRACING: Tracing = {
  isOn: false,
  serve: none,
  child: none,
  follow: none,
  begin: none,
  origin: none,
  activate: (_span, work) => work(),
  counts: () => NO_COUNTS,
  close: async () => {},
};

/** Does `work` with `span` as the active one, and ends the span. Without a span: only `work`. */
export async function within<T>(
  tracing: Tracing,
  span: Span | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (span === undefined) return work();
  try {
    return await tracing.activate(span, work);
  } catch (error) {
    span.fail(errorTypeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

const errorTypeOf = (error: unknown): string =>
  error instanceof Error ? error.name : typeof error;

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span } from './tracing';

/** The span that the work at hand belongs to. Made only where tracing is on: it has a cost. */
export interface ActiveSpan {
  get(): Span | undefined;
  run<T>(span: Span | undefined, work: () => T): T;
  /** Its ids, for log lines. */
  readonly fields: () => TraceFields | undefined;
}

export interface TraceFields {
  readonly trace_id: string;
  readonly span_id: string;
}

export const traceFieldsOf = ({ traceId, spanId }: Span): TraceFields => ({
  trace_id: traceId,
  span_id: spanId,
});

export function createActiveSpan(): ActiveSpan {
  const storage = new AsyncLocalStorage<Span | undefined>();
  return {
    get: () => storage.getStore(),
    run: (span, work) => storage.run(span, work),
    fields() {
      const span = storage.getStore();
      return span === undefined ? undefined : traceFieldsOf(span);
    },
  };
}

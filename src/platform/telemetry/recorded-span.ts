import type * as Api from '@opentelemetry/api';
import type { ActiveSpan } from './active-span';
import type { Attributes, Span, SpanKind, Tracing } from './tracing';

export interface SpansOptions {
  readonly api: Pick<typeof Api, 'trace' | 'ROOT_CONTEXT' | 'SpanKind' | 'SpanStatusCode'>;
  readonly tracer: Api.Tracer;
  readonly propagator: Api.TextMapPropagator;
  readonly active: ActiveSpan;
}

const SAMPLED = 1;

/** Reads a header of a request, as Node gives it. */
const header: Api.TextMapGetter<Readonly<Record<string, string | readonly string[] | undefined>>> =
  {
    keys: (carrier) => Object.keys(carrier),
    get: (carrier, key) => {
      const value = carrier[key];
      return typeof value === 'object' ? value.join(',') : value;
    },
  };

/** The members of Tracing that make spans, by OpenTelemetry's tracer. */
export function createSpans({
  api,
  tracer,
  propagator,
  active,
}: SpansOptions): Pick<Tracing, 'serve' | 'child' | 'follow' | 'begin' | 'origin' | 'activate'> {
  const { trace, ROOT_CONTEXT } = api;
  const kinds: Readonly<Record<SpanKind, Api.SpanKind>> = {
    internal: api.SpanKind.INTERNAL,
    server: api.SpanKind.SERVER,
    client: api.SpanKind.CLIENT,
  };
  const failed = { code: api.SpanStatusCode.ERROR };

  class RecordedSpan implements Span {
    readonly traceId: string;
    readonly spanId: string;
    readonly isRecorded: boolean;
    readonly #span: Api.Span;
    #context: Api.Context | undefined;

    constructor(span: Api.Span) {
      const { traceId, spanId } = span.spanContext();
      this.traceId = traceId;
      this.spanId = spanId;
      this.isRecorded = span.isRecording();
      this.#span = span;
    }

    /** The context of its children. */
    get context(): Api.Context {
      this.#context ??= trace.setSpan(ROOT_CONTEXT, this.#span);
      return this.#context;
    }

    rename(name: string): void {
      this.#span.updateName(name);
    }

    set(attributes: Attributes): void {
      this.#span.setAttributes(attributes);
    }

    fail(type: string): void {
      this.#span.setAttribute('error.type', type).setStatus(failed);
    }

    end(): void {
      this.#span.end();
    }
  }

  const contextOf = (carrier: Parameters<typeof header.get>[0]): Api.Context =>
    propagator.extract(ROOT_CONTEXT, carrier, header);
  const originContext = (origin: string | undefined) => contextOf({ traceparent: origin });
  const start = (name: string, options: Api.SpanOptions, parent: Api.Context) =>
    new RecordedSpan(tracer.startSpan(name, options, parent));

  return {
    serve: (name, headers, attributes) =>
      start(name, { kind: kinds.server, attributes }, contextOf(headers)),
    child(name, attributes = {}, kind = 'internal') {
      const parent = active.get();
      if (!(parent instanceof RecordedSpan) || !parent.isRecorded) return undefined;
      return start(name, { kind: kinds[kind], attributes }, parent.context);
    },
    follow(name, origin, attributes = {}) {
      const parent = originContext(origin);
      return parent === ROOT_CONTEXT ? undefined : start(name, { attributes }, parent);
    },
    begin(name, origin, attributes = {}) {
      const context = trace.getSpanContext(originContext(origin));
      const links = context === undefined ? [] : [{ context }];
      return start(name, { attributes, links }, ROOT_CONTEXT);
    },
    origin() {
      const span = active.get();
      if (span === undefined) return undefined;
      const flags = span.isRecorded ? SAMPLED : 0;
      return `00-${span.traceId}-${span.spanId}-0${flags}`;
    },
    activate: (span, work) => active.run(span, work),
  };
}

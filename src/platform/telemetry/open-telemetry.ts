import type * as Api from '@opentelemetry/api';
import type { Config } from '../../kernel/config/config';
import { withTimeout } from '../../kernel/lifecycle';
import type { ActiveSpan } from './active-span';
import type { Logger } from './logger';
import { createSpans } from './recorded-span';
import { createSpanQueue } from './span-queue';
import type { Attributes, Tracing } from './tracing';

export interface OpenTelemetryOptions extends Omit<Config['tracing'], 'endpoint'> {
  readonly endpoint: string;
  readonly active: ActiveSpan;
  readonly log: Logger;
  readonly resource: Attributes;
}

/** Longest time for one batch, its retries included. */
const EXPORT_TIMEOUT_MS = 5000;
/** Longest time for the last spans at the shutdown. */
const CLOSE_TIMEOUT_MS = 2000;
/** How long a span waits for others of its batch. */
const DELAY_MS = 1000;
const BATCH_MAX = 256;
/** Spans that wait or are on their way: about 1 KB each. */
const QUEUE_MAX = 2048;
/** Headers are the longest values that a client can give. */
const VALUE_MAX = 256;

/** Loaded only here: 3 to 4 MB of code that a process without traces does without. */
async function loadSdk() {
  const [api, core, resources, sdk, otlp] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  // Some versions have types of their own for import() and for require().
  return { api: api as unknown as typeof Api, core, resources, sdk, otlp };
}

export async function startOpenTelemetry(options: OpenTelemetryOptions): Promise<Tracing> {
  const { endpoint, headers, serviceName, sampleRatio, active, log } = options;
  const { api, core, resources, sdk, otlp } = await loadSdk();
  const exporter = new otlp.OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: { ...headers },
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const queue = createSpanQueue({
    exporter,
    batch: (counted) =>
      new sdk.BatchSpanProcessor(counted, {
        maxQueueSize: QUEUE_MAX,
        maxExportBatchSize: BATCH_MAX,
        scheduledDelayMillis: DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS + 1000,
      }),
    queueMax: QUEUE_MAX,
    isSuccess: ({ code }) => code === core.ExportResultCode.SUCCESS,
    log,
  });
  const root = new sdk.TraceIdRatioBasedSampler(sampleRatio);
  const provider = new sdk.NodeTracerProvider({
    resource: resources.resourceFromAttributes({
      'service.name': serviceName,
      ...options.resource,
    }),
    sampler: new sdk.ParentBasedSampler({ root }),
    spanLimits: { attributeValueLengthLimit: VALUE_MAX },
    spanProcessors: [queue.processor],
  });
  const spans = createSpans({
    api,
    tracer: provider.getTracer(serviceName),
    propagator: new core.W3CTraceContextPropagator(),
    active,
  });
  return {
    isOn: true,
    ...spans,
    counts: queue.counts,
    async close() {
      // Never rejects: lost spans are no reason to call the shutdown unclean.
      await withTimeout(provider.shutdown(), CLOSE_TIMEOUT_MS, 'sending the last spans').catch(
        (error: unknown) => queue.warn(error),
      );
    },
  };
}

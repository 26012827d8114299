import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-node';
import type { Logger } from './logger';
import type { SpanCounts } from './tracing';

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

export interface SpanQueueOptions {
  readonly exporter: SpanExporter;
  /** The SDK's processor, which collects spans into batches for this exporter. */
  readonly batch: (exporter: SpanExporter) => SpanProcessor;
  /** Spans that may wait or be on their way. */
  readonly queueMax: number;
  readonly isSuccess: (result: ExportResult) => boolean;
  readonly log: Logger;
}

/**
 * Counts the spans from their end until the collector has them. The SDK's queue alone does not
 * count the batches that are on their way, and says nothing of what it drops.
 */
export function createSpanQueue({ exporter, batch, queueMax, isSuccess, log }: SpanQueueOptions) {
  const counts = { exported: 0, queueFull: 0, exportFailed: 0 };
  let pending = 0;
  let isFailing = false;

  /** One line for each outage, however long it lasts. */
  function warn(error: unknown): void {
    if (isFailing) return;
    isFailing = true;
    log.warn({ err: error }, 'traces not exported');
  }

  function ended(spans: number, result: ExportResult): void {
    pending -= spans;
    if (!isSuccess(result)) {
      counts.exportFailed += spans;
      warn(result.error);
      return;
    }
    counts.exported += spans;
    if (isFailing) log.info(counts, 'traces exported again');
    isFailing = false;
  }

  const counted: SpanExporter = {
    export(spans, done) {
      exporter.export(spans, (result) => {
        ended(spans.length, result);
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
  const inner = batch(counted);
  const processor: SpanProcessor = {
    onStart: (span, context) => inner.onStart(span, context),
    onEnd(span: ReadableSpan) {
      if (pending >= queueMax) {
        counts.queueFull += 1;
        return;
      }
      pending += 1;
      inner.onEnd(span);
    },
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
  };
  return { processor, counts: (): SpanCounts => ({ ...counts }), warn };
}

import { Counter } from 'prom-client';
import type { Metrics } from './metrics';
import type { SpanCounts, Tracing } from './tracing';

/** Nothing where tracing is off. */
export function exposeTracing({ isOn, counts }: Tracing, metrics: Metrics): void {
  if (!isOn) return;
  const counter = (name: string, help: string, read: (now: SpanCounts) => [string, number][]) =>
    new Counter({
      name,
      help,
      labelNames: ['reason'],
      registers: [metrics],
      collect() {
        this.reset();
        for (const [reason, count] of read(counts())) this.inc({ reason }, count);
      },
    });
  counter(
    'tracing_spans_dropped_total',
    'Spans that no collector has: the queue was full, or the export failed.',
    ({ queueFull, exportFailed }) => [
      ['queue_full', queueFull],
      ['export_failed', exportFailed],
    ],
  );
  new Counter({
    name: 'tracing_spans_exported_total',
    help: 'Spans that a collector has accepted.',
    registers: [metrics],
    collect() {
      this.reset();
      this.inc(counts().exported);
    },
  });
}

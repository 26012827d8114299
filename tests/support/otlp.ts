import { fork } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from './http';
import type { ReceivedSpan } from './otlp-messages';

interface Report {
  readonly port?: number;
  readonly spans?: ReceivedSpan[];
  readonly headers?: Record<string, string>;
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** The headers of each export. */
  readonly exports: readonly Readonly<Record<string, string>>[];
  /** The spans of a trace, once one of them has this name. */
  traceWith(name: string, traceId?: string): Promise<readonly ReceivedSpan[]>;
  close(): Promise<void>;
}

/** A real receiver of traces in a process of its own. */
export async function startOtlpReceiver({
  answer = 'ok',
}: {
  readonly answer?: 'ok' | 'never';
} = {}): Promise<OtlpReceiver> {
  const child = fork(join(__dirname, 'otlp-child.js'), {
    env: { ...process.env, OTLP_ANSWER: answer, NODE_OPTIONS: '' },
  });
  const spans: ReceivedSpan[] = [];
  const exports: Record<string, string>[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the receiver ended with ${code}`)));
    child.on('message', (report: Report) => {
      if (report.port !== undefined) resolve(report.port);
      spans.push(...(report.spans ?? []));
      if (report.headers !== undefined) exports.push(report.headers);
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    exports,
    async traceWith(name, traceId) {
      const fits = (span: ReceivedSpan) =>
        span.name === name && (traceId === undefined || span.traceId === traceId);
      const found = await eventually(`a span "${name}" of ${traceId ?? 'any trace'}`, () =>
        spans.find(fits),
      );
      return spans.filter((span) => span.traceId === found.traceId);
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

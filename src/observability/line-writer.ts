import { type DestinationStream, pino } from 'pino';
import type { LogDestination } from './destination';
import type { Logger } from './logger';

const INFO = 30;
/** Nothing in it that JSON would have to escape. */
const PLAIN = /^[\w.:/~-]*$/;

/** A JSON string of ASCII alone. Ids, methods, routes and addresses hardly ever need escaping: finding that out is cheaper than doing it. */
export const quoted = (value: string): string => (PLAIN.test(value) ? `"${value}"` : escaped(value));

const escaped = (value: string): string =>
  JSON.stringify(value).replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Lines of one message at level info, as `log.info(fields, message)` writes them and to where it writes them, for a caller
 * that can give the fields as ASCII JSON text (`,"status":200,"client":"::1"`). Once per request, pino's way through an object's
 * fields and through text that may be anything is a tenth of a short answer (docs/performance.md).
 * The caller answers for the fields: nothing here redacts.
 */
export function createLineWriter(log: Logger, message: string, now: () => number = Date.now): (fields: string) => void {
  // pino.symbols is pino's way in for such integrations; `bindings()` would leave out the pid.
  const inner = log as unknown as Record<symbol, unknown>;
  const stream = inner[pino.symbols.streamSym] as (DestinationStream & Partial<LogDestination>) | undefined;
  const bound = inner[pino.symbols.chindingsSym] as string | undefined;
  if (stream === undefined || bound === undefined) throw new Error('this logger is not one of pino');
  const write = stream.writeAscii ?? stream.write;
  const end = `,"msg":${quoted(message)}}\n`;
  let ms = Number.NaN;
  let begin = '';
  return (fields) => {
    if (log.levelVal > INFO) return;
    const at = now();
    if (at !== ms) {
      ms = at;
      begin = `{"level":"info","time":"${new Date(at).toISOString()}"${bound}`;
    }
    write.call(stream, begin + fields + end);
  };
}

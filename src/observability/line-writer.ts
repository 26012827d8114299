import { type DestinationStream, pino } from 'pino';
import { isoTime, type Logger } from './logger';

const INFO = 30;
/** Nothing in it that JSON would have to escape. */
const PLAIN = /^[\w.:/~-]*$/;

/** A JSON string. Ids, methods, routes and addresses hardly ever need escaping: finding that out is cheaper than doing it. */
export const quoted = (value: string): string => (PLAIN.test(value) ? `"${value}"` : JSON.stringify(value));

/**
 * Lines of one message at level info, as `log.info(fields, message)` writes them and to where it writes them, for a caller
 * that can give the fields as JSON text (`,"status":200,"client":"::1"`): 0.3 instead of pino's 1.0 µs, once per request.
 * The caller answers for the fields: nothing here redacts.
 */
export function createLineWriter(log: Logger, message: string): (fields: string) => void {
  // pino.symbols is pino's way in for such integrations; `bindings()` would leave out the pid.
  const inner = log as unknown as Record<symbol, unknown>;
  const stream = inner[pino.symbols.streamSym] as DestinationStream | undefined;
  const bound = inner[pino.symbols.chindingsSym] as string | undefined;
  if (stream === undefined || bound === undefined) throw new Error('this logger is not one of pino');
  const time = isoTime();
  const begin = '{"level":"info"';
  const end = `,"msg":${JSON.stringify(message)}}\n`;
  return (fields) => {
    if (log.levelVal <= INFO) stream.write(`${begin}${time()}${bound}${fields}${end}`);
  };
}

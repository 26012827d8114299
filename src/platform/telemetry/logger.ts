import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

import { errorFields } from './error-fields';

export type { Logger } from 'pino';

/** Keys whose values are redacted, at every depth where this service and its libraries use them. */
const SECRET_KEYS = [
  'password',
  'current_password',
  'new_password',
  'passwordHash',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'client_secret',
  'secret',
  'api_key',
  'authorization',
  'cookie',
  '["set-cookie"]',
  'dpop',
  'privateKey',
] as const;

const paths = SECRET_KEYS.flatMap((key) => {
  const dotted = key.startsWith('[') ? key : `.${key}`;
  return [key, `*${dotted}`, `*.*${dotted}`, `*.*.*${dotted}`];
});

/**
 * Like pino's isoTime, but formatted once per millisecond, because many lines share one under load.
 * It saves 0.4 of the 1.6 µs of a line.
 */
function isoTime(now: () => number = Date.now): () => string {
  let ms = Number.NaN;
  let text = '';
  return () => {
    const at = now();
    if (at !== ms) {
      ms = at;
      text = `,"time":"${new Date(at).toISOString()}"`;
    }
    return text;
  };
}

const mixinOf = (fields: () => object | undefined) => () => fields() ?? {};

/** JSON lines on stdout, times in RFC 3339 UTC. */
export function createLogger(
  options: {
    level: string;
    name?: string;
    /** Fields of every line, asked at each. */
    fields?: (() => object | undefined) | undefined;
  },
  destination?: DestinationStream,
): Logger {
  const settings: LoggerOptions = {
    level: options.level,
    base: { pid: process.pid, ...(options.name === undefined ? {} : { name: options.name }) },
    timestamp: isoTime(),
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: (error: unknown) => errorFields(error) },
    redact: { paths, censor: '[redacted]' },
    ...(options.fields === undefined ? {} : { mixin: mixinOf(options.fields) }),
  };
  return destination === undefined ? pino(settings) : pino(settings, destination);
}

/**
 * For lines that are written per request and whose fields are never secret: redaction of each line
 * costs more than the rest of a short response.
 */
export const unredacted = (log: Logger): Logger => log.child({}, { redact: [] });

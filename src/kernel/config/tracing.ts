import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { checked, optional, setting, text } from './setting';
import { webUrlFault } from './urls';

/** Of each export by itself; another value breaks the request. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  ...['connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host'],
  ...['keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
]);

const HEADERS_FORM =
  'must be a comma-separated list of name=value, with special characters of a value as %XX';

/** Throws where a header is not allowed in HTTP. */
function headerOf(item: string): readonly [name: string, value: string] {
  const at = item.indexOf('=');
  const name = item.slice(0, at).trim();
  const value = decodeURIComponent(item.slice(at + 1).trim());
  validateHeaderName(at < 1 ? '' : name);
  validateHeaderValue(name, value);
  return [name, value];
}

function faultOfNames(names: readonly string[]): string | undefined {
  const own = names.find((name) => OWN_HEADERS.has(name));
  if (own !== undefined) return `must not set ${own}: the exporter does`;
  const twice = names.find((name, i) => names.indexOf(name) < i);
  return twice === undefined ? undefined : `must set each header once: ${twice} occurs twice`;
}

/** Headers in the form of the OpenTelemetry specification. */
const headers = (): z.ZodType<Readonly<Record<string, string>>> =>
  z.string().transform((value, context): Readonly<Record<string, string>> => {
    try {
      const items = value.split(',').filter((item) => item.trim() !== '');
      const found = items.map(headerOf);
      const fault = faultOfNames(found.map(([name]) => name.toLowerCase()));
      if (fault === undefined) return Object.fromEntries(found);
      context.addIssue({ code: 'custom', message: fault });
      return z.NEVER;
    } catch {
      context.addIssue({ code: 'custom', message: HEADERS_FORM });
      return z.NEVER;
    }
  });

const ratio = (): z.ZodType<number> =>
  z
    .string()
    .trim()
    .regex(/^(0|1(\.0+)?|0?\.\d{1,9})$/, 'must be a number from 0 to 1, e.g. 0.05')
    .transform(Number);

/** The exporter appends the path. */
const collector = (): z.ZodType<string> =>
  checked((value) =>
    /\/v1\/traces\/*$/.test(value)
      ? 'must be the base URL, without /v1/traces'
      : webUrlFault(value),
  );

/** The names are those of the OpenTelemetry specification. */
export const tracing = {
  endpoint: setting(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    optional(collector()),
    undefined,
    'Base URL of an OpenTelemetry collector (OTLP over HTTP, protobuf), e.g. http://127.0.0.1:4318; traces go to /v1/traces under it. Unset: no tracing.',
  ),
  headers: setting(
    'OTEL_EXPORTER_OTLP_HEADERS',
    headers(),
    '',
    'Headers for the collector, e.g. authorization=Bearer%20TOKEN; several after commas.',
    { secret: true },
  ),
  serviceName: setting('OTEL_SERVICE_NAME', text(), 'auth-api', 'Name of the service in traces.'),
  sampleRatio: setting(
    'OTEL_TRACES_SAMPLER_ARG',
    ratio(),
    '1',
    'Share of the traces that are recorded, from 0 to 1, where no caller has decided (traceparent).',
  ),
} as const;

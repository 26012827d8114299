/**
 * Error fields that explain the cause and contain no request data: numbers, names of systems,
 * addresses of servers.
 */
const SAFE_FIELDS = [
  ...[
    'code',
    'codeName',
    'errno',
    'syscall',
    'address',
    'port',
    'hostname',
    'path',
    'command',
    'responseCode',
    'status',
    'signal',
    'exitCode',
  ],
] as const;
const MAX_DEPTH = 4;
const MAX_ERRORS = 5;
const MAX_TEXT = 4000;

/**
 * The log form of an error. pino copies every property, also the whole connection state of a driver
 * error, which then "cannot be serialized", so the reason is lost. This form has the safe fields,
 * the cause, the members of an AggregateError, and after a failed server selection the error of
 * each server.
 */
export function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const own = error as Error & Record<string, unknown>;
  const fields: Record<string, unknown> = {
    type: own.name === 'Error' ? own.constructor.name : own.name,
    message: clip(own.message),
  };
  for (const name of SAFE_FIELDS)
    if (['string', 'number', 'boolean'].includes(typeof own[name])) fields[name] = own[name];
  if (depth >= MAX_DEPTH) return fields;
  const servers = serverFaults(own['reason']);
  if (servers !== undefined) fields['servers'] = servers;
  else if (own['reason'] instanceof Error) fields['reason'] = errorFields(own['reason'], depth + 1);
  const errors = own['errors'];
  if (Array.isArray(errors))
    fields['errors'] = errors.slice(0, MAX_ERRORS).map((one) => errorFields(one, depth + 1));
  if (own.cause instanceof Error) fields['cause'] = errorFields(own.cause, depth + 1);
  if (depth === 0) fields['stack'] = clip(own.stack ?? '');
  return fields;
}

const clip = (text: string) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);

/**
 * `reason` of a MongoServerSelectionError: the topology description of the driver, with a Map of
 * servers and the last error of each.
 */
function serverFaults(reason: unknown): Record<string, string> | undefined {
  if (
    typeof reason !== 'object' ||
    reason === null ||
    !('servers' in reason) ||
    !(reason.servers instanceof Map)
  )
    return undefined;
  const entries = [...(reason.servers as Map<string, { type?: unknown; error?: unknown }>)].map(
    ([address, { type, error }]) => [
      address,
      error instanceof Error ? clip(firstReason(error)) : String(type),
    ],
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

/**
 * The message of the first inner error: an AggregateError (a connection attempt per address of a
 * name) has none.
 */
function firstReason(error: Error): string {
  if (error.message !== '') return error.message;
  const [first] = (error as Error & { errors?: unknown[] }).errors ?? [];
  const inner = first ?? error.cause;
  return inner instanceof Error ? inner.message : error.name;
}

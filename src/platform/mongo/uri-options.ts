import type { ConnectOptions } from 'mongoose';

const waitOf = ({ writeConcern }: ConnectOptions) =>
  typeof writeConcern === 'object' ? writeConcern.wtimeoutMS : undefined;
const JOURNALED = 'the service, which acknowledges journaled writes';

/**
 * URI options that the service sets itself, with the setting that determines each; in lower case
 * for the comparison.
 */
const DECIDED: Readonly<
  Record<string, readonly [by: string, used: (options: ConnectOptions) => unknown]>
> = {
  maxpoolsize: ['DB_POOL_MAX', ({ maxPoolSize }) => maxPoolSize],
  minpoolsize: ['DB_POOL_MIN', ({ minPoolSize }) => minPoolSize],
  serverselectiontimeoutms: [
    'DB_SERVER_SELECTION_TIMEOUT_MS',
    ({ serverSelectionTimeoutMS }) => serverSelectionTimeoutMS,
  ],
  connecttimeoutms: ['DB_SERVER_SELECTION_TIMEOUT_MS', ({ connectTimeoutMS }) => connectTimeoutMS],
  waitqueuetimeoutms: ['DB_OPERATION_TIMEOUT_MS', ({ waitQueueTimeoutMS }) => waitQueueTimeoutMS],
  sockettimeoutms: ['DB_OPERATION_TIMEOUT_MS', ({ socketTimeoutMS }) => socketTimeoutMS],
  wtimeoutms: ['DB_OPERATION_TIMEOUT_MS', waitOf],
  wtimeout: ['DB_OPERATION_TIMEOUT_MS', waitOf],
  readpreference: ['DB_READ_PREFERENCE', ({ readPreference }) => readPreference],
  w: [
    'the service, which acknowledges writes of a majority',
    ({ writeConcern }) => (typeof writeConcern === 'object' ? writeConcern.w : undefined),
  ],
  journal: [JOURNALED, () => true],
  j: [JOURNALED, () => true],
};

const optionsOf = (uri: string) =>
  new URLSearchParams(uri.includes('?') ? uri.slice(uri.indexOf('?') + 1) : '');

/** Options of the URI without effect, as `name=value (… decides)`. */
export function overriddenOptions(uri: string, used: ConnectOptions): string[] {
  return [...optionsOf(uri)].flatMap(([name, value]) => {
    const [by, read] = DECIDED[name.toLowerCase()] ?? [];
    return by === undefined || read === undefined || String(read(used)) === value
      ? []
      : [`${name}=${value} (${by} decides)`];
  });
}

/** The value of a boolean option that the service honours; undefined when the URI has none. */
export function flagOf(uri: string, name: string): boolean | undefined {
  const found = [...optionsOf(uri)].find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1];
  return found === undefined ? undefined : found !== 'false';
}

import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { checked } from './setting';
import { isLoopback } from './urls';

/** Replaces driver messages, which may quote the URI and its credentials. */
const MONGO_FORM =
  'must be mongodb://[user:password@]host[:port][,…]/database or mongodb+srv://…, with special characters of user and password as %XX';

function faultOfMongoUri(value: string): string | undefined {
  if (!/^mongodb(\+srv)?:\/\/[^/]/.test(value)) return MONGO_FORM;
  // The driver accepts blanks in the host list; they are always a mistake.
  const hosts = /^[^/]+\/\/(?:[^@/]*@)?([^/?]*)/.exec(value)?.[1] ?? '';
  if (/\s/.test(hosts)) return MONGO_FORM;
  try {
    // Only the driver knows all of its options and their valid combinations. The constructor does
    // not connect.
    const { mongo } = require('mongoose') as typeof import('mongoose');
    const fault = faultOfOptions(value);
    if (fault !== undefined) return fault;
    new mongo.MongoClient(value);
    return faultOfDatabase(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    const isAboutOptions =
      /option|Expected \w+ to be|port number|exactly one host|read preference|appear more than once/i.test(
        reason,
      );
    return isAboutOptions && !quotes(reason, value) ? `is not usable: ${reason}` : MONGO_FORM;
  }
}

/** The driver reads these at each connection. */
const FILES: ReadonlySet<string> = new Set(['tlscafile', 'tlscertificatekeyfile', 'tlscrlfile']);
const OF_SECONDARIES = 'reads go to the primary (DB_READ_PREFERENCE)';
/** Options that have no effect, or conflict with those that the service gives the driver. */
const UNFIT: Readonly<Record<string, string>> = {
  maxstalenessseconds: OF_SECONDARIES,
  readpreferencetags: OF_SECONDARIES,
  timeoutms: 'DB_OPERATION_TIMEOUT_MS bounds each operation',
};

/** Faults that the driver only warns of, or finds when it connects, again and again. */
function faultOfOptions(uri: string): string | undefined {
  for (const [name, value] of new URLSearchParams(uri.split('?')[1] ?? '')) {
    const unfit = UNFIT[name.toLowerCase()];
    if (unfit !== undefined) return `must not have ${name}: ${unfit}`;
    const fault = FILES.has(name.toLowerCase()) ? faultOfPem(value) : undefined;
    if (fault !== undefined) return `names a file in ${name} that ${fault}: ${value}`;
  }
  return undefined;
}

function faultOfPem(file: string): string | undefined {
  try {
    return /^-----BEGIN /m.test(readFileSync(file, 'latin1')) ? undefined : 'is not in PEM form';
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
}

const DATABASE_MAX_BYTES = 63;
/** MongoDB's own. `local` is not replicated: a failover would lose the accounts. */
const RESERVED: ReadonlySet<string> = new Set(['local', 'config']);

/** MongoDB refuses such a name at the first write. */
function faultOfDatabase(uri: string): string | undefined {
  const name = databaseIn(uri);
  const shown = `it is ${JSON.stringify(name)}`;
  if (/[/\\. "$\0]/.test(name))
    return `must name a database without any of / \\ . " $ and blanks: ${shown}`;
  if (Buffer.byteLength(name) > DATABASE_MAX_BYTES)
    return `must name a database of at most ${DATABASE_MAX_BYTES} bytes: ${shown}`;
  return RESERVED.has(name)
    ? `must name a database of the service's own, not MongoDB's ${name}: write …host/auth`
    : undefined;
}

/** Whether a message shows user or password of the URI. */
function quotes(message: string, uri: string): boolean {
  const credentials = /^[^/]+\/\/(.*)@/.exec(uri)?.[1] ?? '';
  const parts = credentials
    .split(':')
    .flatMap((part) => [
      part,
      ...(/%[0-9a-f]{2}/i.test(part) ? [part.replaceAll(/%[0-9a-f]{2}/gi, '')] : []),
    ]);
  return message.includes('://') || parts.some((part) => part.length > 2 && message.includes(part));
}

export const mongoUri = (): z.ZodType<string> => checked(faultOfMongoUri);

/** Hosts and database of a URI; '' where it names none. */
function partsOf(uri: string): { readonly hosts: string; readonly database: string } {
  const [, hosts = '', database = ''] = /^[^/]+\/\/(?:[^@/]*@)?([^/?]*)\/?([^?]*)/.exec(uri) ?? [];
  return { hosts: decodeURIComponent(hosts), database: decodeURIComponent(database) };
}

/** '' where it names none: the driver then uses `test`. */
export const databaseIn = (uri: string): string => partsOf(uri).database;

/** Address and database of a URI, for messages: without user, password and options. */
export function describeMongoUri(uri: string): string {
  const { hosts, database } = partsOf(uri);
  return `${hosts}/${database === '' ? 'test' : database}`;
}

/** Whether every host of a URI is this machine: a loopback address or a Unix socket. */
export function isLocalMongo(uri: string): boolean {
  const [, srv, hosts = ''] = /^mongodb(\+srv)?:\/\/(?:[^@/]*@)?([^/?]+)/.exec(uri) ?? [];
  const isLocal = (host: string) =>
    /^%2f/i.test(host) || isLoopback(host.replace(/(?<=[^:]|\]):\d+$/, ''));
  return srv === undefined && hosts !== '' && hosts.split(',').every(isLocal);
}

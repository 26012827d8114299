import { accessSync, constants } from 'node:fs';
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
    new mongo.MongoClient(value);
    return faultOfOptions(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    const isAboutOptions =
      /option|Expected \w+ to be|port number|exactly one host|read preference|appear more than once/i.test(
        reason,
      );
    return isAboutOptions && !quotes(reason, value) ? `is not usable: ${reason}` : MONGO_FORM;
  }
}

/** The driver opens these at each connection. */
const FILES: ReadonlySet<string> = new Set(['tlscafile', 'tlscertificatekeyfile', 'tlscrlfile']);
/** They do not go together with the read preference of the service. */
const OF_SECONDARIES: ReadonlySet<string> = new Set(['maxstalenessseconds', 'readpreferencetags']);

/** What the driver finds only when it connects, again and again. */
function faultOfOptions(uri: string): string | undefined {
  for (const [name, value] of new URLSearchParams(uri.split('?')[1] ?? '')) {
    if (OF_SECONDARIES.has(name.toLowerCase()))
      return `must not have ${name}: reads go to the primary (DB_READ_PREFERENCE)`;
    if (FILES.has(name.toLowerCase()) && !isReadable(value))
      return `names a file in ${name} that cannot be read: ${value}`;
  }
  return undefined;
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
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

/** Address and database of a URI, for messages: without user, password and options. */
export function describeMongoUri(uri: string): string {
  const [, hosts = '', database = ''] = /^[^/]+\/\/(?:[^@/]*@)?([^/?]*)\/?([^?]*)/.exec(uri) ?? [];
  return `${decodeURIComponent(hosts)}/${database === '' ? 'test' : decodeURIComponent(database)}`;
}

/** Whether every host of a URI is this machine: a loopback address or a Unix socket. */
export function isLocalMongo(uri: string): boolean {
  const [, srv, hosts = ''] = /^mongodb(\+srv)?:\/\/(?:[^@/]*@)?([^/?]+)/.exec(uri) ?? [];
  const isLocal = (host: string) =>
    /^%2f/i.test(host) || isLoopback(host.replace(/(?<=[^:]|\]):\d+$/, ''));
  return srv === undefined && hosts !== '' && hosts.split(',').every(isLocal);
}

export const namesDatabase = (uri: string): boolean => /^[^/]+\/\/[^/]+\/[^?]/.test(uri);

const REDIS_FORM =
  'must be redis://[user:password@]host[:port][/database] or rediss://…, with further hosts after commas';

export interface RedisParts {
  readonly hosts: readonly string[];
  readonly hasPassword: boolean;
  readonly database: number;
}

/**
 * Parses `redis[s]://[user:password@]host[:port][/database]`, with further hosts after commas;
 * undefined when the value has another form.
 */
export function readRedisUrls(value: string): RedisParts | undefined {
  const urls = value.split(',').map((part, i) => {
    const text = part.trim();
    const whole = i > 0 && !text.includes('://') ? `redis://${text}` : text;
    return /^rediss?:\/\/[^/]/.test(whole) && !/\s/.test(whole) && URL.canParse(whole)
      ? new URL(whole)
      : undefined;
  });
  const usable = urls.filter(
    (url) =>
      url !== undefined &&
      url.hostname !== '' &&
      url.port !== '0' &&
      url.hash === '' &&
      url.search === '',
  );
  const [first] = usable;
  if (
    first === undefined ||
    usable.length < urls.length ||
    !/^\/?$|^\/\d{1,5}$/.test(first.pathname)
  )
    return undefined;
  return {
    hosts: usable.map((url) => url?.hostname ?? ''),
    hasPassword: first.password !== '',
    database: Number(first.pathname.slice(1)),
  };
}

const decodes = (value: string) => {
  try {
    return decodeURIComponent(value) !== '';
  } catch {
    return false;
  }
};

export const redisUrls = (): z.ZodType<string> =>
  checked((value) =>
    readRedisUrls(value) !== undefined && decodes(value) ? undefined : REDIS_FORM,
  );

const SMTP_FORM =
  'must be smtp://[user:password@]host[:port] or smtps://…, with special characters of user and password as %XX';

export const smtpUrl = (): z.ZodType<string> =>
  checked((value) => {
    const url =
      /^smtps?:\/\/[^/]/.test(value) && !/\s/.test(value) && decodes(value) && URL.canParse(value)
        ? new URL(value)
        : undefined;
    return url === undefined ||
      url.hostname === '' ||
      url.port === '0' ||
      !/^\/?$/.test(url.pathname)
      ? SMTP_FORM
      : undefined;
  });

/**
 * The fault of an SMTP URL whose connection is not encrypted and verified; undefined when it is, or
 * when it does not leave this machine.
 */
export function plainMailFault(value: string): string | undefined {
  const url = new URL(value);
  if (isLoopback(url.hostname)) return undefined;
  const options = url.searchParams;
  if (options.get('tls.rejectUnauthorized') === 'false')
    return 'must not disable verification of the mail server’s certificate in production';
  const encrypted =
    url.protocol === 'smtps:' ||
    options.get('secure') === 'true' ||
    options.get('requireTLS') === 'true';
  if (encrypted && options.get('ignoreTLS') !== 'true') return undefined;
  return 'must require TLS in production: smtps://…, or smtp://…?requireTLS=true';
}

/** One mailbox, with or without a name in front: `Accounts <no-reply@example.org>`. */
export const mailSender = (): z.ZodType<string> =>
  checked((value) => {
    const address = /^[^<>]*<([^<>]+)>$/.exec(value)?.[1] ?? value;
    const [, domain = ''] = /^[^\s@<>,;"]+@([^\s@<>,;"]+)$/.exec(address) ?? [];
    const usable =
      domain !== '' && !/[\r\n]/.test(value) && !domain.startsWith('.') && !domain.endsWith('.');
    return usable
      ? undefined
      : 'must be one e-mail address, optionally with a name: Accounts <no-reply@example.org>';
  });

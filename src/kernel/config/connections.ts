import type { z } from 'zod';
import { checked } from './setting';
import { isLoopback } from './urls';

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

import { type BlockList, isIP } from 'node:net';
import { problems } from '../../kernel/errors';
import { isAllowedTarget } from './guarded-lookup';

export interface TargetOptions {
  readonly allowed: BlockList;
  /** Whether `http` addresses are taken. */
  readonly allowsHttp: boolean;
}

/** Throws 422. A name is checked again when it has been resolved, at each attempt. */
export function assertTarget(text: string, options: TargetOptions): void {
  const message = faultOfTarget(text, options);
  if (message !== undefined)
    throw problems.invalid([{ pointer: '/url', code: 'invalid', message }]);
}

function faultOfTarget(text: string, { allowed, allowsHttp }: TargetOptions): string | undefined {
  // Shown as it is stored, and used as the parser reads it: both have to be the same.
  if (!URL.canParse(text) || /[^\x21-\x7e]/.test(text))
    return 'must be an absolute URL in ASCII (xn-- and %XX for other characters)';
  const url = new URL(text);
  if (url.port === '0') return 'must not have the port 0';
  if (url.protocol !== 'https:' && !(allowsHttp && url.protocol === 'http:'))
    return 'must begin with https://';
  if (url.username !== '' || url.password !== '' || text.includes('#'))
    return 'must have no user, password or fragment';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && !isAllowedTarget(host, allowed)
    ? 'must be a public address, or one of WEBHOOKS_ALLOWED_NETWORKS'
    : undefined;
}

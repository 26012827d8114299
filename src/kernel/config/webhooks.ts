import { faultOfNetworks } from './networks';
import { checked, integer, optional, setting } from './setting';

const SECONDS_MAX = 7 * 86_400;
const RETRIES_MAX = 20;

const retries = checked((text) => {
  const parts = text.split(',');
  const areValid = parts.every((one) => /^[1-9]\d{0,5}$/.test(one) && Number(one) <= SECONDS_MAX);
  return areValid && parts.length <= RETRIES_MAX
    ? undefined
    : `must be 1 to ${RETRIES_MAX} whole numbers of seconds from 1 to ${SECONDS_MAX}, separated by commas`;
}).transform((text) => text.split(',').map(Number));

const partsOf = (text: string): readonly string[] => text.split(',').map((one) => one.trim());
const networks = checked((text) => faultOfNetworks(partsOf(text))).transform(partsOf);

export const webhooks = {
  allowedNetworks: setting(
    'WEBHOOKS_ALLOWED_NETWORKS',
    optional(networks),
    undefined,
    'Private addresses and networks (CIDR, comma-separated) that webhooks may be sent to; others are refused.',
  ),
  timeoutMs: setting(
    'WEBHOOKS_TIMEOUT_MS',
    integer(500, 30_000),
    '10000',
    'Longest time of one attempt to deliver an event to a webhook, in ms.',
  ),
  retrySeconds: setting(
    'WEBHOOKS_RETRY_SECONDS',
    retries,
    '5,300,1800,7200,18000,36000,50400,72000,86400',
    'Pauses before the attempts to deliver an event again, in seconds; after the last one it is a dead letter.',
  ),
  disableAfterDays: setting(
    'WEBHOOKS_DISABLE_AFTER_DAYS',
    integer(1, 30),
    '5',
    'A webhook to which nothing could be delivered for so many days is disabled, and its creator gets a mail.',
  ),
} as const;

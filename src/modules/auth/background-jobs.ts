import { type BackgroundQueue, createBackgroundQueue } from '../../platform/jobs/background-queue';
import { MAIL_KINDS } from './recovery/mail-kinds';
import type { DeliveryDependencies } from './recovery/open-delivery';

/** Background jobs of one name that may wait in this process. */
const BACKGROUND_MAX = 1000;
const BACKGROUND_JOBS = [
  ...Object.keys(MAIL_KINDS),
  'withdraw-session',
  'revoke-links',
  'note-login',
];

export const openBackgroundQueue = (
  deps: Pick<DeliveryDependencies, 'config' | 'log' | 'metrics' | 'own' | 'tracing'>,
): BackgroundQueue =>
  deps.own(
    'background queue',
    createBackgroundQueue({
      names: BACKGROUND_JOBS,
      queueMax: BACKGROUND_MAX,
      closeTimeoutMs: deps.config.mail.timeoutMs,
      ...{ log: deps.log, metrics: deps.metrics, tracing: deps.tracing },
    }),
  );

import { integer, setting } from './setting';

export const audit = {
  ttlDays: setting(
    'AUDIT_TTL_DAYS',
    integer(1, 3650),
    '365',
    'How long security events are kept, in days.',
  ),
} as const;

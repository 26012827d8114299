import { integer, setting } from './setting';

export const sessions = {
  idleTtlSeconds: setting(
    'SESSION_IDLE_TTL_SECONDS',
    integer(60, 31_536_000),
    '1209600',
    'A session ends when unused for so long, in seconds.',
  ),
  maxTtlSeconds: setting(
    'SESSION_MAX_TTL_SECONDS',
    integer(60, 315_360_000),
    '7776000',
    'A session ends so long after its login, in seconds.',
  ),
  refreshGraceSeconds: setting(
    'REFRESH_GRACE_SECONDS',
    integer(0, 60),
    '10',
    'How long the repeat of a refresh gets the same answer instead of ending the session, in seconds.',
  ),
  recentLoginSeconds: setting(
    'RECENT_LOGIN_SECONDS',
    integer(60, 31_536_000),
    '600',
    "How old a login may be for a change of one's own e-mail address without the password, in seconds.",
  ),
  maxPerUser: setting('SESSIONS_PER_USER', integer(1, 100), '20', 'Most sessions of a user; a login past them ends the oldest.'),
  accountAttempts: setting(
    'LOGIN_ATTEMPTS_PER_ACCOUNT',
    integer(1, 1000),
    '10',
    'Failed logins of an account within 5 minutes before it is locked for unknown devices.',
  ),
  accountAttemptsPerDay: setting('LOGIN_ATTEMPTS_PER_ACCOUNT_DAY', integer(1, 10_000), '100', 'Same, within a day.'),
  deviceAttempts: setting(
    'LOGIN_ATTEMPTS_PER_DEVICE',
    integer(1, 1000),
    '10',
    'Failed logins of an account from one of its known devices within a minute; these are not held up by the account lock.',
  ),
  networkAttempts: setting(
    'LOGIN_ATTEMPTS_PER_NETWORK',
    integer(1, 100_000),
    '100',
    'Failed logins from one client network (IPv4 address, IPv6 /56) within 10 minutes, over all accounts.',
  ),
  auditTtlDays: setting('AUDIT_TTL_DAYS', integer(1, 3650), '365', 'How long security events are kept, in days.'),
} as const;

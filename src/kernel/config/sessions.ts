import { integer, setting } from './setting';

export const sessions = {
  idleTtlSeconds: setting(
    'SESSION_IDLE_TTL_SECONDS',
    integer(60, 31_536_000),
    '1209600',
    'A session expires when unused for this long, in seconds.',
  ),
  maxTtlSeconds: setting(
    'SESSION_MAX_TTL_SECONDS',
    integer(60, 315_360_000),
    '7776000',
    'A session expires this long after its login, in seconds.',
  ),
  refreshGraceSeconds: setting(
    'REFRESH_GRACE_SECONDS',
    integer(0, 60),
    '10',
    'How long a repeated refresh gets the same answer and does not end the session, in seconds.',
  ),
  recentLoginSeconds: setting(
    'RECENT_LOGIN_SECONDS',
    integer(60, 31_536_000),
    '600',
    'Maximum age of the login, in seconds, for sensitive changes: roles, e-mail addresses of others, ' +
      'service accounts, removal of an account.',
  ),
  maxPerUser: setting(
    'SESSIONS_PER_USER',
    integer(1, 100),
    '20',
    'Maximum number of sessions per user; a further login ends the oldest one.',
  ),
} as const;

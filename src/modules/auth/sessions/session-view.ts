import type { SessionRow } from './session-row';

export interface SessionView {
  readonly id: string;
  readonly current: boolean;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly expires_at: string;
  readonly user_agent: string;
  readonly ip_prefix: string;
  readonly refresh_token_mode: 'json' | 'cookie';
  readonly dpop_bound: boolean;
}

export function sessionViewOf(row: SessionRow, currentSid: string): SessionView {
  return {
    id: row._id,
    current: row._id === currentSid,
    created_at: row.createdAt.toISOString(),
    last_used_at: row.lastUsedAt.toISOString(),
    expires_at: row.until.toISOString(),
    user_agent: row.userAgent,
    ip_prefix: row.ipPrefix,
    refresh_token_mode: row.inCookie === true ? 'cookie' : 'json',
    dpop_bound: row.dpopJkt !== undefined,
  };
}

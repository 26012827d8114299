import { setting } from './setting';
import { pageOrigins } from './urls';

/** Pages of the own site that get their refresh token in a cookie (docs/browser-sessions.md). */
export const browser = {
  origins: setting(
    'BROWSER_ORIGINS',
    pageOrigins(),
    '',
    'Comma-separated origins of own pages that may keep the refresh token in a cookie; they must be of the same site as PUBLIC_URL, and CORS allows them too. Empty: no cookies.',
  ),
} as const;

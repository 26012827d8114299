import { subject } from '../dataset';
import type { Standing } from '../field';
import { bearer, one, type Traffic } from '../load/traffic';

/** The profile of one signed-in user, again and again. */
export const profileReads = ({ contestant }: Standing): Traffic =>
  one({ path: '/api/auth/profile', headers: bearer(contestant.token(subject(1))) });

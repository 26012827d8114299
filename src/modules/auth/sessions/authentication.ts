import type { SessionAuth } from '../tokens/session-auth';
import type { SessionRow } from './session-row';

/** RFC 8176: a session that was opened with several factors. */
export const MULTIPLE_FACTORS = 'mfa';
const PASSWORD: readonly string[] = ['pwd'];

/** How a user has authenticated: RFC 8176 values, and our own `email`, `fed` and `rc`. */
export type Amr = readonly string[];

/** `aal2`: with a second factor, or with one that counts as two. */
export const acrOf = (amr: Amr): 'aal1' | 'aal2' =>
  amr.includes(MULTIPLE_FACTORS) ? 'aal2' : 'aal1';

/** The methods of a first step and of a further factor. */
export const withFactor = (first: Amr, factor: Amr): string[] => [
  ...new Set([...first, ...factor, MULTIPLE_FACTORS]),
];

/**
 * The level of authentication of the session now. Rows without methods are of an earlier version: a
 * password.
 */
function amrOf({ amr = PASSWORD, firstAmr = amr, stepUpEnded }: SessionRow): Amr {
  return stepUpEnded === true ? firstAmr.filter((one) => one !== MULTIPLE_FACTORS) : amr;
}

/** The last login or step-up. */
export const authenticatedAt = ({ authenticatedAt, createdAt, stepUpEnded }: SessionRow): Date =>
  stepUpEnded === true ? createdAt : (authenticatedAt ?? createdAt);

/** For the next access token of a session. */
export const sessionAuthOf = (row: SessionRow, until: Date): SessionAuth => ({
  signedInAt: authenticatedAt(row),
  amr: amrOf(row),
  until,
});

export const hasFactor = (row: SessionRow): boolean => amrOf(row).includes(MULTIPLE_FACTORS);

/** The methods of a session after a further factor. */
export function steppedUp(row: SessionRow, factor: Amr): { firstAmr: Amr; amr: Amr } {
  const firstAmr = row.firstAmr ?? row.amr ?? PASSWORD;
  return { firstAmr, amr: withFactor(firstAmr, factor) };
}

/**
 * Held while a factor or a way to sign in to the account is removed, and while recovery codes come
 * with the first factor or go with the last: of two changes at once, the second sees the first.
 * A removal under it names the end of the lock (`until`).
 */
export const signInWaysLock = (userId: string): string => `sign-in ways of ${userId}`;

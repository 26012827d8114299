/**
 * Held while a factor or a way to sign in to the account is removed: of two removals at once, the
 * second sees the first. What is removed under it names the end of the lock (`until`).
 */
export const signInWaysLock = (userId: string): string => `sign-in ways of ${userId}`;

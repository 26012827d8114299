/**
 * How long this process may serve a local entry. Every writer waits that long, so the time is 0
 * until every writer knows of it (members.ts).
 */
export interface EntryLifetime {
  readonly ttlMs: number;
  /** No entry whose read began earlier (monotonic ms) may be served. */
  readonly since: number;
  /** No entry may be served from then on, unless the time is extended. */
  readonly until: number;
}

/** When an entry whose read began at `began` must no longer be served. */
export function expiryOf(lifetime: EntryLifetime, began: number): number {
  return began < lifetime.since
    ? Number.NEGATIVE_INFINITY
    : Math.min(began + lifetime.ttlMs, lifetime.until);
}

/** For a process that shares its database with no other. */
export const soleLifetime = (ttlMs: number): EntryLifetime => ({
  ttlMs,
  since: Number.NEGATIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
});

import * as revocations from '../../src/modules/auth/revocations/revocations';

/** Planted: a write is acknowledged as soon as it is committed, before the log has its entry. */
const { createRevocations } = revocations;
const planted: typeof createRevocations = (deps) => ({
  ...createRevocations(deps),
  settle: async () => undefined,
});
Object.assign(revocations, { createRevocations: planted });

import { EPOCH_RULES, type EpochRules, exploreEpochs } from '../../support/cache-epoch-model';

describe('the epoch store over every interleaving of one key', () => {
  it.each([
    ['a writer cut off from Redis', EPOCH_RULES, { reads: 2, cutWrites: 2, toldWrites: 0 }],
    [
      'one that is and one that is not',
      { ...EPOCH_RULES, valid: 1, lapse: 2 },
      { reads: 2, cutWrites: 1, toldWrites: 1 },
    ],
  ])('never lets a stale copy be read with %s', (_name, rules, counts) => {
    const found = exploreEpochs(rules, counts);
    expect(found.stale).toBeUndefined();
    expect(found.states).toBeGreaterThan(1000);
  });

  it.each<[string, Partial<EpochRules>, number]>([
    ['the writer does not wait', { wait: false }, 0],
    ['the writer does not suspend again after its commit', { again: false }, 0],
    ['a resumption goes on with the old keys', { newEpoch: false }, 0],
    ['a suspension may lapse while leases are still valid', { lapse: 1 }, 1],
  ])('finds a stale read when %s', (_name, broken, toldWrites) => {
    const found = exploreEpochs(
      { ...EPOCH_RULES, ...broken },
      { reads: 2, cutWrites: toldWrites === 0 ? 2 : 1, toldWrites },
    );
    expect(found.stale).toBeDefined();
  });
});

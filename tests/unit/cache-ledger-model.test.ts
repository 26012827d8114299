import { exploreLedger, LEDGER_RULES, type LedgerRules } from '../support/cache-ledger-model';

describe('the ledger over every interleaving of one key', () => {
  it.each([
    ['a writer cut off from Redis', LEDGER_RULES, { reads: 2, cutWrites: 2, toldWrites: 0 }],
    ['one that is and one that is not', { ...LEDGER_RULES, valid: 1, lapse: 2 }, { reads: 2, cutWrites: 1, toldWrites: 1 }],
  ])('never lets a stale copy be read with %s', (_name, rules, counts) => {
    const found = exploreLedger(rules, counts);
    expect(found.stale).toBeUndefined();
    expect(found.states).toBeGreaterThan(1000);
  });

  it.each<[string, Partial<LedgerRules>, number]>([
    ['the writer does not wait', { wait: false }, 0],
    ['the writer does not suspend again after its commit', { again: false }, 0],
    ['a resumption goes on with the old keys', { newEpoch: false }, 0],
    ['a suspension may lapse while permits are still valid', { lapse: 1 }, 1],
  ])('finds a stale read when %s', (_name, broken, toldWrites) => {
    const found = exploreLedger({ ...LEDGER_RULES, ...broken }, { reads: 2, cutWrites: toldWrites === 0 ? 2 : 1, toldWrites });
    expect(found.stale).toBeDefined();
  });
});

import { Types } from 'mongoose';
import type { AuditRow } from '../../../src/modules/audit/audit-event';
import { ALL_MAX, createAuditBudget, SAME_MAX } from '../../../src/modules/audit/budget';

const row = (overrides: Partial<AuditRow> = {}): AuditRow => ({
  ...{
    _id: new Types.ObjectId(),
    at: new Date(),
    type: 'login',
    result: 'failure',
    reason: 'wrong_password',
    subject: 'u',
  },
  ...{ network: '192.0.2.1', userAgent: 'a', requestId: 'r', until: new Date() },
  ...overrides,
});

describe('the audit budget', () => {
  test('stores the first of a kind, counts the rest, and loses none', () => {
    const budget = createAuditBudget();
    const admitted = Array.from({ length: 1000 }, (_, i) =>
      budget.admit(row({ requestId: String(i) })),
    ).filter(Boolean).length;
    expect(admitted).toBe(SAME_MAX);
    const counted = budget.takeCounted();
    expect(counted).toHaveLength(1);
    expect(counted[0]).toMatchObject({
      subject: 'u',
      network: '192.0.2.1',
      requestId: '999',
      count: 1000 - SAME_MAX,
    });
    expect(budget.takeCounted()).toEqual([]);
    expect(budget.admit(row())).toBe(true);
  });

  test('one kind does not use up the room of another', () => {
    const budget = createAuditBudget();
    for (let i = 0; i < 1000; i += 1) budget.admit(row());
    expect(budget.admit(row({ subject: 'v' }))).toBe(true);
    expect(budget.admit(row({ reason: 'locked' }))).toBe(true);
    expect(budget.admit(row({ network: '192.0.2.2' }))).toBe(true);
  });

  test('is bounded whatever comes: networks, accounts, reasons', () => {
    const budget = createAuditBudget();
    const sent = 20_000;
    const admitted = Array.from({ length: sent }, (_, i) =>
      budget.admit(row({ network: `net-${i}`, subject: `u-${i}` })),
    ).filter(Boolean).length;
    const counted = budget.takeCounted();
    expect(admitted).toBe(ALL_MAX);
    expect(admitted + counted.length).toBeLessThanOrEqual(2 * ALL_MAX + 50);
    expect(admitted + counted.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(sent);
    // The one row for all of them names none.
    expect(counted.at(-1)).toMatchObject({ type: 'login', reason: 'wrong_password', network: '' });
    expect(counted.at(-1)?.subject).toBeUndefined();
  });
});

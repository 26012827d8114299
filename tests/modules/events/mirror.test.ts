import { suite } from '../../../faults/events';
import { compare, type SeenEvent } from '../../../faults/events-mirror';

const event = (sequence: number, type: string, subject: string, revision?: number): SeenEvent => ({
  sequence,
  type,
  subject,
  revision,
  timeMs: 0,
  receivedMs: 0,
});

const NONE = { lost: 0, phantom: 0, outOfOrder: 0, gaps: 0 };
const WHOLE = [
  event(1, 'user.created', 'a', 1),
  event(2, 'user.created', 'b', 1),
  event(3, 'user.updated', 'a', 2),
  event(4, 'user.sessions_ended', 'a'),
  event(5, 'user.removed', 'b', 2),
];

describe('the comparison of a mirror with the database', () => {
  const check = (events: readonly SeenEvent[], users: Readonly<Record<string, number>>) =>
    compare(events, new Map(Object.entries(users)), new Map());

  test('finds nothing in a whole mirror', () => {
    expect(check(WHOLE, { a: 2 })).toEqual(NONE);
  });

  test.each([
    ['a change without an event', { a: 3 }, { lost: 1 }],
    ['a user without an event', { a: 2, c: 1 }, { lost: 1 }],
    ['a removal without an event', {}, { lost: 1 }],
    ['an event without a change', { a: 1 }, { phantom: 1 }],
    ['an event of a removal that was not made', { a: 2, b: 1 }, { phantom: 1 }],
  ])('finds %s', (_, users, found) => {
    expect(check(WHOLE, users as Record<string, number>)).toEqual({ ...NONE, ...found });
  });

  test('finds gaps, and events in another order', () => {
    const [first, second, third] = WHOLE as [SeenEvent, SeenEvent, SeenEvent];
    expect(check([first, { ...third, sequence: 2 }], { a: 2 })).toEqual(NONE);
    expect(check([first, third], { a: 2 })).toMatchObject({ gaps: 1 });
    const swapped = [
      { ...third, sequence: 1 },
      { ...first, sequence: 2 },
      { ...second, sequence: 3 },
    ];
    expect(check(swapped, { a: 2, b: 1 }).outOfOrder).toBeGreaterThan(0);
  });

  test('finds an acknowledged change that is in no event', () => {
    const found = compare(WHOLE, new Map([['a', 2]]), new Map([['a', 3]]));
    expect(found).toEqual({ ...NONE, lost: 1 });
  });
});

describe('with processes killed every two seconds', () => {
  const scenario = (name: string) => suite.scenarios.find((one) => one.name === name);

  test.each(['mirror', 'webhook'])(
    '%s: a mirror that is built from events alone equals the database',
    async (name) => {
      const outcome = await scenario(name)?.run({ quick: true, planted: false });
      expect(outcome?.met === true ? 'met' : outcome).toBe('met');
    },
    240_000,
  );

  test.each(['mirror', 'pump-killed', 'webhook'])(
    'the check of %s fails with its planted fault',
    async (name) => {
      // A kill may come between two deliveries, where the planted fault does no harm.
      const found: (boolean | undefined)[] = [];
      while (found.length < 3 && !found.includes(false))
        found.push((await scenario(name)?.run({ quick: true, planted: true }))?.met);
      expect(found).toContain(false);
    },
    240_000,
  );
});

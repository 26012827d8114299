import { createTrust } from '../../../packages/verifier/src/trust';

function setUp() {
  const at = { monotonic: 1000, wall: 50_000 };
  const trust = createTrust({ monotonic: () => at.monotonic, wall: () => at.wall });
  const pass = (ms: number) => {
    at.monotonic += ms;
    at.wall += ms;
  };
  return { at, trust, pass };
}

test('the lease counts from the beginning of the look, however late its answer is', () => {
  const { trust, pass } = setUp();
  const began = trust.begin();
  pass(900);
  trust.renew(began, 1000);
  expect(trust.holds()).toBe(true);
  pass(100);
  expect(trust.holds()).toBe(false);
});

test('an answer that comes after the lease renews nothing, nor does an older look', () => {
  const { trust, pass } = setUp();
  const first = trust.begin();
  pass(500);
  const second = trust.begin();
  pass(100);
  trust.renew(second, 1000);
  trust.renew(first, 1000);
  pass(800);
  expect(trust.holds()).toBe(true);
  pass(100);
  expect(trust.holds()).toBe(false);
  trust.renew(first, 1000);
  expect(trust.holds()).toBe(false);
});

test('a machine that slept does not trust its earlier look', () => {
  const { at, trust } = setUp();
  trust.renew(trust.begin(), 1000);
  at.wall += 60_000;
  expect(trust.holds()).toBe(false);
});

test('a wall clock that was set back does not lengthen the lease', () => {
  const { at, trust, pass } = setUp();
  trust.renew(trust.begin(), 1000);
  at.wall -= 3_600_000;
  pass(999);
  expect(trust.holds()).toBe(true);
  pass(1);
  expect(trust.holds()).toBe(false);
});

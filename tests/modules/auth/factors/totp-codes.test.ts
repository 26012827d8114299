import { codeOf, stepAt, stepOf } from '../../../../src/modules/auth/factors/totp-codes';

/** RFC 6238 appendix B, SHA-1. */
const SECRET = Buffer.from('12345678901234567890');
const VECTORS = [
  [59, '94287082'],
  [1_111_111_109, '07081804'],
  [1_111_111_111, '14050471'],
  [1_234_567_890, '89005924'],
  [2_000_000_000, '69279037'],
  [20_000_000_000, '65353130'],
] as const;

test.each(VECTORS)('RFC 6238: at %d s the code is %s', (seconds, code) => {
  expect(codeOf(SECRET, stepAt(seconds * 1000), 8)).toBe(code);
  expect(codeOf(SECRET, stepAt(seconds * 1000))).toBe(code.slice(2));
});

test('a code is good one step before and after its own, and not two', () => {
  const now = 1_234_567_890_000;
  const step = stepAt(now);
  for (const away of [-1, 0, 1])
    expect(stepOf(SECRET, codeOf(SECRET, step + away), now, 0)).toBe(step + away);
  for (const away of [-2, 2])
    expect(stepOf(SECRET, codeOf(SECRET, step + away), now, 0)).toBeUndefined();
});

test('a step that was used, and every one before it, is never good again', () => {
  const now = 1_234_567_890_000;
  const step = stepAt(now);
  expect(stepOf(SECRET, codeOf(SECRET, step), now, step)).toBeUndefined();
  expect(stepOf(SECRET, codeOf(SECRET, step - 1), now, step)).toBeUndefined();
  expect(stepOf(SECRET, codeOf(SECRET, step + 1), now, step)).toBe(step + 1);
});

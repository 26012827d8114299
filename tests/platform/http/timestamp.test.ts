import { timestamp } from '../../../src/platform/http/fields';

const faultsOf = (text: string) =>
  timestamp()
    .safeParse(text)
    .error?.issues.map(({ code }) => code) ?? [];

test.each([
  ['2026-01-31T12:00:00Z', []],
  ['0000-01-01T00:00:00Z', []],
  ['9999-12-31T23:59:59.999Z', []],
  // Their years in UTC have five digits, or a sign.
  ['9999-12-31T23:59:59-12:00', ['custom']],
  ['0000-01-01T00:00:00+05:00', ['custom']],
  // One fault, not two.
  ['nope', ['invalid_format']],
  ['2026-01-31', ['invalid_format']],
  ['', ['invalid_format']],
])('the time %s', (text, faults) => {
  expect(faultsOf(text)).toEqual(faults);
});

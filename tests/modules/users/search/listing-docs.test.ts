import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chooseIndex, SERVED } from '../../../../src/modules/users/search/choose';
import { isServed } from '../../../../src/modules/users/search/query';
import type { ListRequest } from '../../../../src/modules/users/search/request';

const page = readFileSync(join(__dirname, '../../../../../docs/integrate.md'), 'utf8');

const code = (names: readonly string[]) =>
  names.map((name) => (name.includes(' ') ? name : `\`${name}\``)).join(', ');

test('the table of the docs is the table of the code', () => {
  const rows = SERVED.map(({ sort, requires, accepts, roles_max: roles }) =>
    `| \`${sort}\` | ${code(requires)} | ${code(accepts)} | ${roles ?? ''} |`.replaceAll(
      / +/g,
      ' ',
    ),
  );
  const [, table = ''] = /<!-- listing -->\n([\s\S]*)<!-- \/listing -->/.exec(page) ?? [];
  const shown = table
    .trim()
    .split('\n')
    .slice(2)
    .map((line) => line.replaceAll(/ +/g, ' '));
  expect(shown).toEqual(rows);
});

const request = (filters: ListRequest['filters'], sort: ListRequest['sort']): ListRequest => ({
  ...{ limit: 20, cursor: undefined, fields: undefined, isCounted: false, points: {} },
  ...{ filters, sort },
});

test('as many roles are served as the table says, and not one more', () => {
  const roles = (count: number) => Array.from({ length: count }, (_, i) => `role${i}`);
  const most = (filters: ListRequest['filters'], sort: ListRequest['sort']) =>
    [1, 2, 3, 4, 5, 6].filter((count) =>
      isServed(request({ ...filters, role: roles(count) }, sort)),
    ).length;
  expect(most({}, 'created_at')).toBe(6);
  expect(most({ status: 'active' }, 'created_at')).toBe(3);
  expect(most({}, 'name')).toBe(1);
  expect(most({ email_verified: true }, 'name')).toBe(3);
  expect(most({ status: 'active', email_verified: true }, 'name')).toBe(6);
  expect(most({}, 'email')).toBe(3);
  expect(most({ q: 'ada' }, 'name')).toBe(6);
  expect(chooseIndex(request({ role: ['admin'] }, 'created_at')).index).toBe('by_role_created');
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { scanSources } from '../../../dev/layout/imports';
import { layoutOf } from '../../../dev/layout/rooms';
import { layoutSvg } from '../../../dev/layout/svg';
import { layoutText } from '../../../dev/layout/text';

const root = mkdtempSync(join(tmpdir(), 'layout-'));
afterAll(() => rmSync(root, { recursive: true }));

const write = (file: string, text: string) => {
  const path = join(root, 'src', file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

test('imports of every form are counted by room, and imports of a higher floor are marked', () => {
  write('main.ts', "import { a } from './app/service';\n");
  write('app/service.ts', "import type { U } from '../modules/users';\nexport const a = 1;\n");
  write(
    'modules/users/index.ts',
    "export * from './model';\nconst m = await import('../../platform/mongo/model.js');\n",
  );
  write('modules/users/model.ts', "// import '../../kernel/errors';\nexport type U = 1;\n");
  write('platform/mongo/model.ts', "const u = require('../../modules/users/model');\n");
  write('platform/http/app.ts', "import '../mongo/model';\n");
  write('kernel/errors.ts', '');
  const sources = scanSources(root);
  expect(sources.arrows).toContainEqual({
    from: 'modules/users/index.ts',
    to: 'platform/mongo/model.ts',
  });
  expect(sources.arrows.filter(({ to }) => to.startsWith('kernel'))).toEqual([]);
  const layout = layoutOf(sources);
  expect(layout.upward).toBe(1);
  const rooms = layout.floors.flat();
  expect(rooms.find(({ name }) => name === 'platform/mongo')?.imports).toEqual([
    { room: 'modules/users', count: 1, up: true, mutual: true },
  ]);
  expect(rooms.find(({ name }) => name === 'platform/http')?.imports).toEqual([
    { room: 'platform/mongo', count: 1, up: false, mutual: false },
  ]);
  expect(layoutText(layout)).toContain('↑ UP modules/users');
  expect(layoutText(layout)).toContain('1 import points UP');
  expect(layoutSvg(layout).match(/class="up"/g)).toHaveLength(1);
});

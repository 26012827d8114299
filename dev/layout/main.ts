import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { scanSources } from './imports';
import { layoutOf } from './rooms';
import { layoutSvg } from './svg';
import { layoutText } from './text';

const USAGE = `npm run layout          prints floors, rooms and imports of src
npm run layout -- svg   writes the same as docs/layout.svg
`;
const ROOT = resolve(__dirname, '../../..');

function main(): void {
  const [argument] = process.argv.slice(2);
  if (argument !== undefined && argument !== 'svg') {
    process.stderr.write(USAGE);
    process.exitCode = 64;
    return;
  }
  const layout = layoutOf(scanSources(ROOT));
  if (argument === 'svg') writeFileSync(join(ROOT, 'docs/layout.svg'), layoutSvg(layout));
  else process.stdout.write(layoutText(layout));
  if (layout.upward > 0) process.exitCode = 1;
}

main();

import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { unknownCommand } from '../../src/app/cli/run';
import { scanSources } from './imports';
import { layoutOf } from './rooms';
import { layoutSvg } from './svg';
import { layoutText } from './text';

const HELP = `Usage:
npm run layout          prints floors, rooms and imports of src
npm run layout -- svg   writes the same as docs/layout.svg

Exit codes:
  0   done
  1   a file imports one of a floor above it
  64  invalid command
`;
const ROOT = resolve(__dirname, '../../..');

function main(): void {
  const [argument] = process.argv.slice(2);
  if (argument === '--help') return void process.stdout.write(HELP);
  if (argument !== undefined && argument !== 'svg') {
    process.stderr.write(`${unknownCommand(argument)}\n\n${HELP}`);
    process.exitCode = 64;
    return;
  }
  const layout = layoutOf(scanSources(ROOT));
  if (argument === 'svg') writeFileSync(join(ROOT, 'docs/layout.svg'), layoutSvg(layout));
  else process.stdout.write(layoutText(layout));
  if (layout.upward > 0) process.exitCode = 1;
}

main();

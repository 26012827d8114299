import { readFileSync, writeFileSync } from 'node:fs';
import { settings } from '../../kernel/config/config';
import { environmentExample, settingsTables } from '../../kernel/config/example';

const USAGE = `npm run --silent settings > .env.example   every setting with its default, as an environment file
npm run --silent settings -- docs          updates the tables of docs/configuration.md
`;
const FILE = 'docs/configuration.md';

function main(): void {
  const [argument] = process.argv.slice(2);
  if (argument === undefined) {
    process.stdout.write(environmentExample(settings));
    return;
  }
  if (argument !== 'docs') {
    process.stderr.write(USAGE);
    process.exitCode = 64;
    return;
  }
  const tables = `<!-- settings -->\n${settingsTables(settings)}<!-- /settings -->`;
  const text = readFileSync(FILE, 'utf8');
  writeFileSync(
    FILE,
    text.replace(/<!-- settings -->[\s\S]*<!-- \/settings -->/, () => tables),
  );
}

main();

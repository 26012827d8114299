import { readFileSync, writeFileSync } from 'node:fs';
import { settings } from '../../kernel/config/config';
import { environmentExample, settingsTables } from '../../kernel/config/example';
import { parseArguments } from './arguments';
import { onlyCommand, runCli } from './run';

const USAGE = `Usage:
npm run --silent settings > .env.example   every setting with its default, as an environment file
npm run --silent settings -- docs          updates the tables of docs/configuration.md

Exit codes:
  0   done
  64  invalid command, nothing was written
  70  failed, see the message
`;
const FILE = 'docs/configuration.md';

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2), {});
  if (options.has('help')) return void process.stdout.write(USAGE);
  if (words.length === 0) return void process.stdout.write(environmentExample(settings));
  onlyCommand(words, ['docs'], USAGE);
  const tables = `<!-- settings -->\n${settingsTables(settings)}<!-- /settings -->`;
  const text = readFileSync(FILE, 'utf8');
  writeFileSync(
    FILE,
    text.replace(/<!-- settings -->[\s\S]*<!-- \/settings -->/, () => tables),
  );
}

runCli(main);

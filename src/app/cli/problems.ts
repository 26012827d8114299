import { readFileSync, writeFileSync } from 'node:fs';
import { problemTables } from '../../kernel/problem-tables';
import { parseArguments } from './arguments';
import { refuseWords, runCli } from './run';

const FILE = 'docs/problem-codes.md';

const USAGE = `Usage: npm run problems

Puts the tables of problem codes into ${FILE}.

Exit codes:
  0   done
  64  invalid command, nothing was written
  70  failed, see the message
`;

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2), {});
  if (options.has('help')) return void process.stdout.write(USAGE);
  refuseWords(words, USAGE);
  const tables = `<!-- problems -->\n${problemTables()}<!-- /problems -->`;
  const text = readFileSync(FILE, 'utf8');
  writeFileSync(
    FILE,
    text.replace(/<!-- problems -->[\s\S]*<!-- \/problems -->/, () => tables),
  );
}

runCli(main);

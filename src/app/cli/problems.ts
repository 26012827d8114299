import { readFileSync, writeFileSync } from 'node:fs';
import { problemTables } from '../../kernel/problem-tables';

const FILE = 'docs/problem-codes.md';

/** Puts the tables of problem codes into docs/problem-codes.md. */
function main(): void {
  const tables = `<!-- problems -->\n${problemTables()}<!-- /problems -->`;
  const text = readFileSync(FILE, 'utf8');
  writeFileSync(
    FILE,
    text.replace(/<!-- problems -->[\s\S]*<!-- \/problems -->/, () => tables),
  );
}

main();

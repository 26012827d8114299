import { readFileSync, writeFileSync } from 'node:fs';
import { settings } from '../config';
import { environmentExample, settingsTable } from '../settings/example';

/** Writes .env.example's text to standard output; `readme` puts the table into README.md. */
function main(): void {
  if (process.argv[2] !== 'readme') {
    process.stdout.write(environmentExample(settings));
    return;
  }
  const readme = readFileSync('README.md', 'utf8');
  const table = `<!-- settings -->\n${settingsTable(settings)}<!-- /settings -->`;
  writeFileSync(
    'README.md',
    readme.replace(/<!-- settings -->[\s\S]*<!-- \/settings -->/, () => table),
  );
}

main();

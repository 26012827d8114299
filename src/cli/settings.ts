import { settings } from '../config';
import { environmentExample, settingsTable } from '../settings/example';

/** `npm run settings -- env` writes .env.example's text, `-- table` the README's table. */
process.stdout.write(process.argv[2] === 'table' ? settingsTable(settings) : environmentExample(settings));

import { loadConfig } from '../../kernel/config/config';
import { planOf } from '../../platform/mongo/explain';
import { createLogger } from '../../platform/telemetry/logger';
import { storages } from '../modules';
import { parseArguments } from './arguments';
import { withDatabase } from './database';
import { exitCodesHelp, refuseWords, runCli } from './run';

const USAGE = `Usage: npm run explain

Prints every query shape of the service with the plan that MongoDB chose for it on the database of
these settings.

${exitCodesHelp('a plan scans the collection or sorts in memory')}`;

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2), {});
  if (options.has('help')) return void process.stdout.write(USAGE);
  refuseWords(words, USAGE);
  const config = loadConfig();
  const log = createLogger({ level: 'warn', name: 'explain' }, process.stderr);
  await withDatabase(config, log, async ({ connection }) => {
    const users = await connection.collection('users').estimatedDocumentCount();
    process.stdout.write(`${users} users\n`);
    const timeoutMs = config.database.operationTimeoutMs;
    const shapes = storages.flatMap((storage) => storage.queryShapes(connection, { timeoutMs }));
    for (const shape of shapes) {
      const { text, fault } = planOf(await shape.explain());
      if (fault !== undefined) process.exitCode = 1;
      process.stdout.write(
        `${fault === undefined ? 'ok  ' : 'BAD '} ${shape.name}\n       ${text}${fault === undefined ? '' : `   <- ${fault}`}\n`,
      );
    }
  });
}

runCli(main);

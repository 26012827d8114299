import { loadConfig } from '../../kernel/config/config';
import { planOf } from '../../platform/mongo/explain';
import { createLogger } from '../../platform/telemetry/logger';
import { storages } from '../modules';
import { withDatabase } from './database';
import { runCli } from './run';

/**
 * Prints every query shape with its winning plan. Exits with 1 when a plan scans the collection or
 * sorts in memory.
 */
async function main(): Promise<void> {
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

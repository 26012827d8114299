import { authQueryShapes } from '../auth/shapes';
import { loadConfig } from '../config';
import { planOf } from '../data/explain';
import { createLogger } from '../observability/logger';
import { createUserModel } from '../users/model';
import { userQueryShapes } from '../users/shapes';
import { withDatabase } from './database';

/** Every query shape with its winning plan; exit code 1 when one scans the collection or sorts in memory. */
async function main(): Promise<void> {
  const config = loadConfig();
  const log = createLogger({ level: 'warn', name: 'explain' });
  await withDatabase(config, log, async ({ connection }) => {
    const users = createUserModel(connection);
    process.stdout.write(`${await users.estimatedDocumentCount()} users\n`);
    const shapes = [...userQueryShapes(users, { timeoutMs: config.database.operationTimeoutMs }), ...authQueryShapes(connection)];
    for (const shape of shapes) {
      const { text, fault } = planOf(await shape.explain());
      if (fault !== undefined) process.exitCode = 1;
      process.stdout.write(
        `${fault === undefined ? 'ok  ' : 'BAD '} ${shape.name}\n       ${text}${fault === undefined ? '' : `   <- ${fault}`}\n`,
      );
    }
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`explain: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});

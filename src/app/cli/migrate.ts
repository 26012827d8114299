import { type Config, loadConfig } from '../../kernel/config/config';
import type { Database } from '../../platform/mongo/connection';
import { indexDrift } from '../../platform/mongo/index-drift';
import { ensureIndexes, INDEX_BUILD_TIMEOUT_MS } from '../../platform/mongo/indexes';
import { acceptLaterMigrations } from '../../platform/mongo/migrations/known';
import { runMigrations } from '../../platform/mongo/migrations/run';
import { migrationStatus } from '../../platform/mongo/migrations/status';
import { moveNumbers } from '../../platform/mongo/move-numbers';
import { createLogger, type Logger } from '../../platform/telemetry/logger';
import { indexesOf, migrations } from '../migrate';
import { numberedLogs } from '../numbered-logs';
import { parseArguments } from './arguments';
import { withDatabase } from './database';
import { exitCodesHelp, onlyCommand, runCli } from './run';

const USAGE = `Usage: npm run migrate -- COMMAND
In an image without npm: node dist/cli/migrate.js COMMAND

status    lists the migrations with the documents that remain, and the indexes that are not as
          declared.
up        creates the missing indexes and runs the migrations to their end, beside running
          services. It can be stopped and run again at any time, and on several hosts at once.
prune     drops the indexes of the service's collections that this version does not declare. Run it
          when no service of an earlier version runs any more.
restored  after the restore of a backup, before a service starts: the logs that other services
          follow continue with unused numbers, so that those services read everything again
          (events) or miss nothing (ended tokens).

${exitCodesHelp('status: a migration is pending, or an index is missing or different')}`;

const COMMANDS = { status, up, prune, restored } as const;

interface Context {
  readonly database: Database;
  readonly config: Config;
  readonly log: Logger;
}

type Command = (context: Context) => Promise<void>;

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2), {});
  if (options.has('help')) return void process.stdout.write(USAGE);
  const names = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[];
  const name = onlyCommand(words, names, USAGE);
  const command: Command = COMMANDS[name];
  const log = createLogger({ level: name === 'up' ? 'info' : 'warn', name: 'migrate' });
  const config = patient(loadConfig());
  await withDatabase(config, log, async (database, where) => {
    process.stdout.write(`${where}\n`);
    await command({ database, config, log });
  });
}

/** An index of a large collection takes longer than the operations of a service may. */
const patient = (config: Config): Config => ({
  ...config,
  database: { ...config.database, operationTimeoutMs: INDEX_BUILD_TIMEOUT_MS },
});

async function status({ database: { connection }, config }: Context): Promise<void> {
  const options = { timeoutMs: INDEX_BUILD_TIMEOUT_MS };
  for (const one of await migrationStatus(connection, migrations, options)) {
    if (one.state === 'pending' || one.state === 'running') process.exitCode = 1;
    const remaining = one.remaining === undefined ? '' : `  ${one.remaining} documents remain`;
    const progress = one.state === 'running' ? `  ${one.examined} of ${one.total} looked at` : '';
    process.stdout.write(`${one.state.padEnd(8)} ${one.id}${progress}${remaining}\n`);
  }
  for (const { collection, index, fault, detail } of await indexDrift(
    connection,
    indexesOf(config),
  )) {
    if (fault !== 'undeclared') process.exitCode = 1;
    const more = detail === undefined ? '' : `: ${detail}`;
    process.stdout.write(`index ${collection}.${index} is ${fault}${more}\n`);
  }
}

async function up(context: Context): Promise<void> {
  const { config, log } = context;
  const { connection } = context.database;
  const timeoutMs = INDEX_BUILD_TIMEOUT_MS;
  await acceptLaterMigrations(connection, migrations, log, { timeoutMs });
  await ensureIndexes(connection, indexesOf(config), log);
  await runMigrations(connection, migrations, { log, sweepAfterMs: 0 });
  await status(context);
}

async function prune({ database: { connection }, config }: Context): Promise<void> {
  for (const { collection, index, fault } of await indexDrift(connection, indexesOf(config))) {
    if (fault !== 'undeclared') continue;
    await connection.collection(collection).dropIndex(index);
    process.stdout.write(`index ${collection}.${index} dropped\n`);
  }
}

async function restored({ database: { connection, clock } }: Context): Promise<void> {
  const nowMs = clock.now();
  for (const { name, ...log } of numberedLogs(connection, new Date(nowMs))) {
    const next = await moveNumbers(log, nowMs);
    const what = next === undefined ? 'is empty' : `goes on after ${next}`;
    process.stdout.write(`${name} ${what}\n`);
  }
}

runCli(main);

import { type Config, loadConfig } from '../../kernel/config/config';
import { exitCodes } from '../../runtime/exit-codes';
import { liveWorkers } from '../../runtime/metrics/exchange';
import { askControl, type ControlAnswer, type ControlRequest } from '../../runtime/primary/control';
import { openRuntimeDir } from '../../runtime/runtime-dir';
import { asksForHelp, runCli, UsageError } from './run';

const HELP = `Usage: npm run cluster -- COMMAND

  status      each worker of this host (also without a command)
  reload      replaces every worker, the successor first; returns when all are replaced
  scale N     N workers; scale +1 and scale -1 add and remove one
  drain ID    replaces the worker with that number, the successor first
  token       the token that the ops page asks for

It speaks to the primary on this host with the same settings (PORT, HOST, RUNTIME_DIR), as the same
user.

Exit codes:
  0   done
  1   the primary refused or failed
  64  invalid command
  69  no primary answers
  78  invalid settings
`;

/** Whether a word follows the command. */
const COMMANDS: Readonly<Record<ControlRequest['command'], string | undefined>> = {
  ...{ status: undefined, reload: undefined, token: undefined },
  ...{ scale: 'the number of workers: N, +N or -N', drain: 'the number of a worker (status)' },
};

const isCommand = (word: string): word is ControlRequest['command'] =>
  Object.hasOwn(COMMANDS, word);

/** Not by parseArguments: `-1` is a number here. */
function requestOf(argv: readonly string[]): ControlRequest {
  const [command = 'status', count, ...more] = argv;
  if (!isCommand(command))
    throw new UsageError(`Unknown command ${JSON.stringify(command)}.\n\n${HELP}`);
  const needs = COMMANDS[command];
  const [extra] = needs === undefined && count !== undefined ? [count] : more;
  if (extra !== undefined)
    throw new UsageError(`${command} does not take ${JSON.stringify(extra)}.\n\n${HELP}`);
  if (needs !== undefined && count === undefined)
    throw new UsageError(`${command} needs ${needs}.\n\n${HELP}`);
  return count === undefined ? { command } : { command, count };
}

function show(answer: ControlAnswer): string {
  if (!answer.ok) return answer.error;
  if (answer.token !== undefined) return answer.token;
  const rows = answer.workers.map(
    ({ id, pid, state, heapUsedMb = 0, loopDelayP99Ms = 0, connections = 0 }) =>
      `  worker ${id}  pid ${pid}  ${state}  ${connections} connections  heap ${heapUsedMb.toFixed(0)} MiB  loop p99 ${loopDelayP99Ms.toFixed(1)} ms`,
  );
  return [`${answer.ready} of ${answer.wanted} workers ready`, ...rows].join('\n');
}

/** Under PM2, workers run without a primary of this service. */
function whyUnanswered(config: Config, runtimeDir: string, error: unknown): string {
  const workers = liveWorkers(runtimeDir).length;
  if (workers > 0) {
    return `${workers} workers run here under PM2, without a primary of this service. Use \`pm2 list\`, \`pm2 reload ecosystem.config.js\`, \`pm2 scale api N\`.`;
  }
  const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return `No primary answers on this host for PORT=${config.server.port} (${reason}). Check that the service runs as the same user, with the same PORT, HOST and RUNTIME_DIR.`;
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (asksForHelp(argv)) return void process.stdout.write(HELP);
  const request = requestOf(argv);
  const config = loadConfig();
  const runtimeDir = openRuntimeDir(config);
  try {
    const answer = await askControl(runtimeDir, request);
    (answer.ok ? process.stdout : process.stderr).write(`${show(answer)}\n`);
    if (!answer.ok) process.exitCode = exitCodes.forced;
  } catch (error) {
    process.stderr.write(`${whyUnanswered(config, runtimeDir, error)}\n`);
    process.exitCode = exitCodes.unavailable;
  }
}

runCli(main);

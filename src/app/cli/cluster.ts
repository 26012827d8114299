/**
 * `npm run cluster -- status | reload | scale N | scale +1 | scale -1 | token` sends a command to the
 * primary on this host with the same settings (PORT, RUNTIME_DIR). Exit codes: 0 done, 1 refused,
 * 69 no primary.
 */
import { type Config, ConfigError, loadConfig } from '../../kernel/config/config';
import { exitCodes } from '../../runtime/exit-codes';
import { liveWorkers } from '../../runtime/metrics/exchange';
import { askControl, type ControlAnswer, type ControlRequest } from '../../runtime/primary/control';
import { openRuntimeDir } from '../../runtime/runtime-dir';

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
function whyUnanswered(config: Config, error: unknown): string {
  const workers = liveWorkers(openRuntimeDir(config)).length;
  if (workers > 0) {
    return `${workers} workers run here under PM2, without a primary of this service. Use \`pm2 list\`, \`pm2 reload ecosystem.config.js\`, \`pm2 scale api N\`.`;
  }
  const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return `No primary answers on this host for PORT=${config.server.port} (${reason}). Check that the service runs as the same user, with the same PORT, HOST and RUNTIME_DIR.`;
}

async function main(): Promise<number> {
  const [command = 'status', count] = process.argv.slice(2);
  const config = loadConfig();
  const request = { command, ...(count === undefined ? {} : { count }) } as ControlRequest;
  try {
    const answer = await askControl(openRuntimeDir(config), request);
    (answer.ok ? process.stdout : process.stderr).write(`${show(answer)}\n`);
    return answer.ok ? exitCodes.ok : exitCodes.forced;
  } catch (error) {
    process.stderr.write(`${whyUnanswered(config, error)}\n`);
    return exitCodes.unavailable;
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`);
    process.exitCode = exitCodes.config;
  },
);

/**
 * `npm run cluster -- status | reload | scale N | scale +1 | scale -1`: speaks to the primary that runs on this host
 * with the same settings (PORT, RUNTIME_DIR). Exit code 0 done, 1 refused, 69 no primary.
 */
import { ConfigError, loadConfig } from '../config';
import { askControl, type ControlAnswer, type ControlRequest } from './control';
import { exitCodes } from './exit-codes';
import { openRuntimeDir } from './runtime-dir';

function show(answer: ControlAnswer): string {
  if (!answer.ok) return answer.error;
  const rows = answer.workers.map(
    ({ id, pid, state, suspect, heapUsedMb = 0, loopDelayP99Ms = 0, connections = 0 }) =>
      `  worker ${id}  pid ${pid}  ${state}${suspect ? ' (silent)' : ''}  ${connections} connections  heap ${heapUsedMb.toFixed(0)} MiB  loop p99 ${loopDelayP99Ms.toFixed(1)} ms`,
  );
  return [`${answer.ready} of ${answer.wanted} workers ready`, ...rows].join('\n');
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
    process.stderr.write(`No primary answers on this host for PORT=${config.server.port}: ${String(error)}\n`);
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

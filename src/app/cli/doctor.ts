import { DOCTOR_OPTIONS, examine, listOf } from '../doctor/examine';
import { createReport, reportText } from '../doctor/finding';
import { parseArguments } from './arguments';
import { refuseWords, runCli } from './run';

const USAGE = `Usage: npm run doctor -- [--target URL] [--hosts URL,URL] [--env FILE,FILE] [--nginx FILE] [--haproxy FILE]
                        [--pm2 FILE] [--balancer-idle-seconds N] [--settings-only] [--ignore CHECK,CHECK] [--json]

Looks for misconfigurations, and says what each means and how to mend it. It changes nothing.

--target URL   the service as clients see it, through the edge: PUBLIC_URL, TRUST_PROXY, what is public by mistake.
               Use it with a service of your own: it sends about ten requests, some with a forged X-Forwarded-For.
--hosts        each host directly: clocks, keep-alive, the same database, issuer and cache.
--env          settings files, one of each host, instead of the environment and .env: they are compared. The stores
               of the first are looked at, but not the files and folders that they name there.
--nginx        the main file of an NGINX configuration (rendered), --haproxy that of an HAProxy. It is run here, by the
               program in the PATH, in front of servers that break connections: does it repeat writes?
--pm2          an ecosystem file of PM2.
--balancer-idle-seconds   after this time the balancer closes idle connections; default: the NGINX file's, or 60.
--settings-only           does not connect to MongoDB and Redis.
--ignore       names of checks whose findings you accept.

Exit codes: 0 nothing found; 1 something found; 64 invalid command.
`;

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2), DOCTOR_OPTIONS);
  if (options.has('help')) return void process.stdout.write(USAGE);
  refuseWords(words, USAGE);
  const report = createReport();
  await examine(report, options);
  const ignored = listOf(options, 'ignore');
  const kept = {
    ...report,
    findings: report.findings.filter(({ check }) => !ignored.includes(check)),
  };
  process.stdout.write(
    options.has('json') ? `${JSON.stringify(kept, null, 2)}\n` : reportText(kept),
  );
  if (kept.findings.length > 0) process.exitCode = 1;
}

runCli(main);

import { DOCTOR_OPTIONS, examine, listOf } from '../doctor/examine';
import { createReport, reportText } from '../doctor/finding';
import { parseArguments } from './arguments';
import { refuseWords, runCli } from './run';

const USAGE = `Usage: npm run doctor -- [OPTIONS]
In an image without npm: node dist/cli/doctor.js [OPTIONS]

Looks for misconfigurations, and says for each what it means and how to mend it. It changes nothing.
Without options it checks the settings of this host, MongoDB and Redis.

--target URL      the service as clients see it, through the edge: PUBLIC_URL, TRUST_PROXY, what is
                  public by mistake. Use it with a service of your own: it sends about ten
                  requests, some with a forged X-Forwarded-For.
--hosts URL,URL   each host directly: clocks, keep-alive, the same database, issuer and cache.
--env FILE,FILE   settings files, one of each host, instead of the environment and .env: they are
                  compared. The stores of the first are looked at, but not the files and folders
                  that it names.
--nginx FILE      the main file of an NGINX configuration (rendered). It is run here, by the nginx
                  in the PATH, in front of servers that break connections: does it repeat writes?
--haproxy FILE    the same for HAProxy.
--pm2 FILE        an ecosystem file of PM2.
--balancer-idle-seconds N   when the balancer closes idle connections; default: as the NGINX file
                            says, or 60.
--settings-only   does not connect to MongoDB and Redis.
--ignore CHECK,CHECK   accepts the findings of these checks; the output names the check of each.
--json            the findings as JSON.

Exit codes:
  0   nothing found
  1   something found
  64  invalid command
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

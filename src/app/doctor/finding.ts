/** The names of all checks, for `--ignore`. */
export const CHECKS = [
  'settings',
  'development-settings',
  'access-token-lifetime',
  'password-hashing',
  'cors-origins',
  'database-name',
  'database-password',
  'ops-port',
  'ops-host',
  'rate-limits',
  'keep-alive',
  'database-reachable',
  'database-indexes',
  'database-migrations',
  'clock-here',
  'clocks',
  'redis',
  'redis-reachable',
  'redis-eviction',
  'redis-memory',
  'redis-full',
  'host-reachable',
  'hosts-audience',
  'hosts-cache',
  'hosts-database',
  'hosts-encryption-secret',
  'hosts-issuer',
  'hosts-key-prefix',
  'hosts-near-cache',
  'hosts-redis',
  'hosts-roles',
  'hosts-signing-secret',
  'pm2-kill-timeout',
  'pm2-wait-ready',
  'edge-repeats-writes',
  'target-ready',
  'target-tls',
  'public-url',
  'metrics-private',
  'trust-proxy',
] as const;
export type Check = (typeof CHECKS)[number];

/** One misconfiguration. `fault`: promises of the service do not hold. `warning`: they may not. */
export interface Finding {
  /** The name is stable. */
  readonly check: Check;
  readonly severity: 'fault' | 'warning';
  /** The observation, with the values; never a secret. */
  readonly seen: string;
  readonly means: string;
  readonly fix: string;
}

/** A check that could not be made, with the reason. It does not count as passed. */
interface Skipped {
  readonly check: Check;
  readonly reason: string;
}

/** Collects the results of checks. */
export interface Report {
  readonly findings: Finding[];
  readonly skipped: Skipped[];
  /** Names of the checks that found nothing. */
  readonly passed: Check[];
}

export const createReport = (): Report => ({ findings: [], skipped: [], passed: [] });

export const skip = (report: Report, check: Check, reason: string): void =>
  void report.skipped.push({ check, reason });

/** Records a check: the finding, or that it passed. */
export function record(
  report: Report,
  check: Check,
  found: Omit<Finding, 'check'> | undefined | false,
): void {
  if (found === undefined || found === false) report.passed.push(check);
  else report.findings.push({ check, ...found });
}

const counted = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;

const WIDTH = 96;

/** Breaks text at blanks; continuation lines are indented. */
function wrapped(label: string, text: string): string {
  const indent = ' '.repeat(9);
  const lines: string[] = [];
  let line = label.padEnd(indent.length);
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length + 1 > WIDTH && line.trim() !== label) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join('\n');
}

/** For a terminal. */
export function reportText({ findings, skipped, passed }: Report): string {
  const order = { fault: 0, warning: 1 } as const;
  const blocks = [...findings]
    .sort((a, b) => order[a.severity] - order[b.severity])
    .map(({ check, severity, seen, means, fix }) =>
      [
        `${severity.toUpperCase().padEnd(8)} ${check}`,
        ...[wrapped('  seen', seen), wrapped('  means', means), wrapped('  fix', fix)],
      ].join('\n'),
    );
  const rest = [
    ...[...new Set(passed)]
      .filter((check) => !findings.some((one) => one.check === check))
      .map((check) => `ok       ${check}`),
    ...skipped.map(({ check, reason }) => `skipped  ${check}: ${reason}`),
  ];
  const found = (severity: Finding['severity']) =>
    counted(findings.filter((one) => one.severity === severity).length, severity);
  const summary = `${found('fault')}, ${found('warning')}, ${counted(skipped.length, 'check')} skipped`;
  return `${[...blocks, rest.join('\n'), summary].filter((part) => part !== '').join('\n\n')}\n`;
}

/** One misconfiguration. `fault`: promises of the service do not hold. `warning`: they may not. */
export interface Finding {
  /** Stable name, for `--ignore`. */
  readonly check: string;
  readonly severity: 'fault' | 'warning';
  /** What was seen, with the values; never a secret. */
  readonly seen: string;
  readonly means: string;
  readonly fix: string;
}

/** A check that could not be made, with the reason. It does not count as passed. */
interface Skipped {
  readonly check: string;
  readonly reason: string;
}

/** Collects the results of checks. */
export interface Report {
  readonly findings: Finding[];
  readonly skipped: Skipped[];
  /** Names of the checks that found nothing. */
  readonly passed: string[];
}

export const createReport = (): Report => ({ findings: [], skipped: [], passed: [] });

export const skip = (report: Report, check: string, reason: string): void =>
  void report.skipped.push({ check, reason });

/** Records a check: the finding, or that it passed. */
export function record(
  report: Report,
  check: string,
  found: Omit<Finding, 'check'> | undefined | false,
): void {
  if (found === undefined || found === false) report.passed.push(check);
  else report.findings.push({ check, ...found });
}

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
  const count = (severity: Finding['severity']) =>
    findings.filter((one) => one.severity === severity).length;
  const summary = `${count('fault')} faults, ${count('warning')} warnings, ${skipped.length} checks skipped`;
  return `${[...blocks, rest.join('\n'), summary].filter((part) => part !== '').join('\n\n')}\n`;
}

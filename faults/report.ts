import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Outcome, Suite } from './scenario';

export interface Result {
  readonly name: string;
  readonly title: string;
  readonly goal: string;
  readonly planted: string | undefined;
  readonly skipped?: string;
  readonly outcome?: Outcome;
  readonly plantedOutcome?: Outcome;
  readonly seconds: number;
  /**
   * Of the whole machine over the last minute of the scenario: others may have had its cores
   * meanwhile.
   */
  readonly loadAverage?: number;
}

/** A scenario is conclusive if it met its goal, and missed it with the safeguard disabled. */
export function verdict(result: Result): 'met' | 'missed' | 'skipped' | 'planted fault not seen' {
  if (result.skipped !== undefined) return 'skipped';
  if (result.outcome?.met !== true) return 'missed';
  return result.plantedOutcome?.met === true ? 'planted fault not seen' : 'met';
}

const root = join(__dirname, '..', '..');
const HEAD = `# Faults

What is done to the service on purpose, what must hold, and what was seen. Written by \`npm run faults -- SUITE\`; the same figures
are in \`faults/results/\` as JSON. Each scenario runs twice: as the service is, and with one safeguard taken away (the planted
fault), where the goal must be missed: a check that cannot fail shows nothing.
`;

/**
 * Writes the suite's JSON and replaces its section of docs/faults.md, leaving the other suites' as
 * they are. Results of a part of the suite take their rows' place among those of before.
 */
export function writeReport(suite: Suite, results: readonly Result[], date: string): void {
  const folder = join(root, 'faults', 'results');
  const json = join(folder, `${suite.name}.json`);
  const before = (JSON.parse(readOr(json, '{"results":[]}')) as { results: Result[] }).results;
  const all = suite.scenarios.flatMap(
    ({ name }) =>
      (results.find((one) => one.name === name) ?? before.find((one) => one.name === name)) || [],
  );
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    json,
    `${JSON.stringify({ suite: suite.name, date, results: all }, undefined, 2)}\n`,
  );
  const path = join(root, 'docs', 'faults.md');
  mkdirSync(join(root, 'docs'), { recursive: true });
  writeFileSync(path, replaceSection(readOr(path, HEAD), suite.name, section(suite, all, date)));
}

export function section(suite: Suite, results: readonly Result[], date: string): string {
  const rows = results.map((result) => {
    const seen = result.skipped ?? figures(result.outcome);
    const planted =
      result.planted === undefined ? '–' : `${result.planted}: ${figures(result.plantedOutcome)}`;
    return `| ${[`${result.title} (\`${result.name}\`)`, result.goal, seen, verdict(result), planted].map(cell).join(' | ')} |`;
  });
  return [
    `## ${suite.title}`,
    '',
    `${suite.setting} Measured ${date} on ${availableParallelism()} cores under Node ${process.versions.node}${shared(results)}: \`npm run faults -- ${suite.name}\`.`,
    '',
    '| scenario | goal | seen | verdict | planted fault: seen |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** Marks figures of a machine that was busy with other work. */
function shared(results: readonly Result[]): string {
  const loads = results.flatMap(({ loadAverage }) => loadAverage ?? []);
  return loads.length === 0 ? '' : `, load average ${Math.min(...loads)} to ${Math.max(...loads)}`;
}

function figures(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'not run';
  return Object.entries(outcome.figures)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

const cell = (text: string) => text.replaceAll('|', '\\|');

export function replaceSection(document: string, name: string, text: string): string {
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
  const block = `${begin}\n${text}\n${end}`;
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from === -1 || to === -1) return `${document.trimEnd()}\n\n${block}\n`;
  return `${document.slice(0, from)}${block}${document.slice(to + end.length)}`;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    throw error;
  }
}

import type { Question } from '../bench';
import { type Contestant, everyone, nameOfId } from '../contestants';
import { type Figure, type Figures, show, showSpread } from '../figures';
import type { GoalRow } from '../goals';
import type { Machine } from '../machine';
import type { Options } from '../options';
import type { Runtime } from '../runtimes';
import { verdictOf } from './table';

/** The content of the `--json` file. */
export interface Run {
  readonly machine: Machine;
  readonly runtimes: readonly Runtime[];
  readonly options: Pick<Options, 'rounds' | 'seconds' | 'warmSeconds' | 'connections'>;
  readonly figures: readonly Figure[];
  /** Questions during which others worked on the machine. Absent: of an earlier version. */
  readonly busy?: readonly string[];
  /** Anything a reader should know about the run. */
  readonly remark?: string;
}

export interface Report {
  readonly machine: Machine;
  readonly options: Pick<Options, 'rounds' | 'seconds' | 'warmSeconds' | 'connections'>;
  readonly runtimes: readonly Runtime[];
  readonly figures: Figures;
  readonly goals: readonly GoalRow[];
  readonly questions: readonly Question[];
  readonly runs?: readonly Run[];
}

const table = (
  head: readonly string[],
  align: readonly string[],
  rows: readonly (readonly string[])[],
): string => [head, align, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

export function markdown(report: Report): string {
  return `# Benchmark results

Written by \`npm run bench\` on ${report.machine.date} UTC. How it measures, and what the figures mean: [docs/performance.md](../docs/performance.md).
Ratios carry from machine to machine far better than the figures that they are made of.

![Requests per second and latency of the contestants](results.svg)

${machineSection(report)}
${runsSection(report.runs ?? [])}

## Goals

Ratios of series that were measured turn by turn in the same minutes: the least and the greatest ratio of one turn, and the median, which decides.

${goalSection(report.goals)}

## Contestants

${contestantSection(everyone)}

${report.questions.map((question) => questionSection(report, question)).join('')}`;
}

function machineSection({ machine, options, runtimes }: Report): string {
  const { cpu, cores, memoryGigabytes, kernel, distribution, commit, pinned, loadBefore } = machine;
  const rows = [
    ['machine', `${cpu}, ${cores} cores, ${memoryGigabytes} GB, ${distribution}, ${kernel}`],
    ['Node', runtimes.map(({ version }) => version).join(', ')],
    ['commit', commit],
    [
      'turns',
      `${options.rounds} of ${options.seconds} s each, after ${options.warmSeconds} s of warming up, ${options.connections} connections`,
    ],
    [
      'load average before',
      `${loadBefore}${loadBefore > 1 ? ': other work ran on the machine, and the figures are rough' : ''}`,
    ],
    [
      'cores',
      pinned
        ? 'server, stores and load on cores of their own (taskset)'
        : 'not pinned: this system has no taskset',
    ],
  ];
  return table(['', ''], ['---', '---'], rows);
}

/** Of a figure in several runs, the last counts. */
function runsSection(runs: readonly Run[]): string {
  if (runs.length < 2) return '';
  const rows = runs.map(({ machine, options, figures, remark = '' }) => [
    machine.date,
    machine.commit,
    String(machine.loadBefore),
    `${options.rounds} × ${options.seconds} s`,
    [...new Set(figures.map(({ question }) => question))].join(', '),
    remark,
  ]);
  const head = ['run', 'commit', 'load average before', 'turns', 'questions', ''];
  const note =
    'Put together from several runs; where two asked the same question, the later counts. The table above is that of the last.';
  return `\n${note}\n\n${table(head, ['---', '---', '--:', '--:', '---', '---'], rows)}\n`;
}

function goalSection(goals: readonly GoalRow[]): string {
  const rows = goals.map((row) => [
    row.text,
    row.node,
    row.goal,
    show(row.value.min),
    `**${show(row.value.median)}**`,
    show(row.value.max),
    verdictOf(row),
  ]);
  return table(
    ['figure', 'Node', 'goal', 'least', 'median', 'greatest', 'met'],
    ['---', '--:', '--:', '--:', '--:', '--:', '---'],
    rows,
  );
}

const contestantSection = (contestants: readonly Contestant[]): string =>
  table(
    ['', 'id', ''],
    ['---', '---', '---'],
    contestants.map(({ letter, id, title }) => [`(${letter})`, id, title]),
  );

function questionSection({ figures }: Report, { id, title }: Question): string {
  const mine = figures.all.filter((figure) => figure.question === id);
  if (mine.length === 0) return '';
  const rows = mine
    .toSorted((a, b) => Number(a.node) - Number(b.node))
    .map((figure) => {
      const { min, median, max } = showSpread(figure.samples);
      return [
        figure.name,
        nameOfId(figure.contestant),
        figure.node,
        min,
        `**${median}**`,
        max,
        figure.unit,
      ];
    });
  const head = ['figure', 'contestant', 'Node', 'least', 'median', 'greatest', 'unit'];
  return `## ${title}\n\n${table(head, ['---', '---', '--:', '--:', '--:', '--:', '---'], rows)}\n\n`;
}

import type { Question } from '../bench';
import { type Contestant, everyone } from '../contestants';
import { type Figures, show, showSpread } from '../figures';
import type { GoalRow } from '../goals';
import type { Machine } from '../machine';
import type { Options } from '../options';
import type { Runtime } from '../runtimes';

export interface Report {
  readonly machine: Machine;
  readonly options: Pick<Options, 'rounds' | 'seconds' | 'warmSeconds' | 'connections'>;
  readonly runtimes: readonly Runtime[];
  readonly figures: Figures;
  readonly goals: readonly GoalRow[];
  readonly questions: readonly Question[];
}

const table = (head: readonly string[], align: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, align, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

export function markdown(report: Report): string {
  return `# Benchmark results

Written by \`npm run bench\` on ${report.machine.date} UTC. How it measures, and what the figures mean: [docs/performance.md](../docs/performance.md).
Ratios carry from machine to machine far better than the figures that they are made of.

![Requests per second and latency of the contestants](results.svg)

${machineSection(report)}

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
    ['load average before', `${loadBefore}${loadBefore > 1 ? ': other work ran on the machine, and the figures are rough' : ''}`],
    ['cores', pinned ? 'server, stores and load on cores of their own (taskset)' : 'not pinned: this system has no taskset'],
  ];
  return table(['', ''], ['---', '---'], rows);
}

function goalSection(goals: readonly GoalRow[]): string {
  const rows = goals.map(({ text, node, goal, value, met }) => [
    text,
    node,
    goal,
    show(value.min),
    `**${show(value.median)}**`,
    show(value.max),
    met ? 'yes' : 'no',
  ]);
  return table(['figure', 'Node', 'goal', 'least', 'median', 'greatest', 'met'], ['---', '--:', '--:', '--:', '--:', '--:', '---'], rows);
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
      return [figure.name, figure.contestant, figure.node, min, `**${median}**`, max, figure.unit];
    });
  const head = ['figure', 'contestant', 'Node', 'least', 'median', 'greatest', 'unit'];
  return `## ${title}\n\n${table(head, ['---', '---', '--:', '--:', '--:', '--:', '---'], rows)}\n\n`;
}

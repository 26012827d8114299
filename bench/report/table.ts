import { show } from '../figures';
import type { GoalRow } from '../goals';

export const verdictOf = ({ met, busy }: GoalRow): string =>
  busy ? 'not judged: the machine is busy' : met ? 'yes' : 'no';

/** The goals for a terminal: the end of a run. */
export function goalTable(goals: readonly GoalRow[]): string {
  if (goals.length === 0) return 'No goal could be judged by these questions.';
  const rows = goals.map((row) => [
    ...[row.text, row.node, row.goal, show(row.value.min), show(row.value.median)],
    ...[show(row.value.max), verdictOf(row)],
  ]);
  const all = [['figure', 'Node', 'goal', 'least', 'median', 'greatest', 'met'], ...rows];
  const widths = (all[0] as string[]).map((_, n) =>
    Math.max(...all.map((cells) => (cells[n] as string).length)),
  );
  const isText = (n: number) => n === 0 || n === widths.length - 1;
  const text = (cells: readonly string[]) =>
    cells
      .map((cell, n) => (isText(n) ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [text(all[0] as string[]), rule, ...rows.map(text)].join('\n');
}

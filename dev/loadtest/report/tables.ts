import { ms } from '../live';
import { latencyAt, refusals, sum, type Timeline, type Totals } from '../timeline';
import { escapeHtml, shown } from './chart';
import type { Point } from './points';

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, texts: readonly string[]) =>
    `<tr>${texts.map((text) => `<${tag}>${escapeHtml(text)}</${tag}>`).join('')}</tr>`;
  const hasHead = head.some((text) => text !== '');
  // A region that scrolls needs a name and the keyboard.
  return `<div class="scroll" tabindex="0" role="group" aria-label="table"><table>${hasHead ? `<thead>${cells('th', head)}</thead>` : ''}<tbody>${rows.map((row) => cells('td', row)).join('')}</tbody></table></div>`;
}

const latencies = ({ latency }: Pick<Totals, 'latency'>) =>
  [0.5, 0.9, 0.99].map((share) => (latency.total === 0 ? '–' : ms(latencyAt(latency, share))));

export const kindTable = (timeline: Timeline): string =>
  table(
    ['kind', 'answers', 'a second', 'p50', 'p90', 'p99', 'errors'],
    Object.entries(timeline.kinds()).map(([name, totals]) => [
      name,
      shown(totals.answers),
      shown(totals.answers / Math.max(1, totals.seconds)),
      ...latencies(totals),
      shown(refusals(totals.statuses) + sum(totals.failures)),
    ]),
  );

export const statusTable = ({ statuses, failures, answers }: Totals): string => {
  const all = Math.max(1, answers + sum(failures));
  const rows = [...Object.entries(statuses), ...Object.entries(failures)];
  return table(
    ['status', 'count', 'share'],
    rows.map(([name, count]) => [name, shown(count), `${shown((100 * count) / all)} %`]),
  );
};

export const secondTable = (points: readonly Point[]): string =>
  table(
    ['second', 'answers/s', 'p50', 'p90', 'p99', 'errors/s', 'due and not sent'],
    points.map((point) => [
      String(point.second + 1),
      shown(point.answers / point.width),
      ...latencies(point),
      shown((refusals(point.statuses) + sum(point.failures)) / point.width),
      shown(point.backlog),
    ]),
  );

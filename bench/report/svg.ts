import { type Contestant, everyone } from '../contestants';
import { type Figures, show } from '../figures';
import type { Machine } from '../machine';
import type { Runtime } from '../runtimes';
import { spread } from '../stats';

const WIDTH = 960;
const LEFT = 292;
const RIGHT = 120;
const ROW = 34;
const BAR = 20;
const INK = '#1f2937';
const SOFT = '#6b7280';
const FAINT = '#e5e7eb';
const FILL: Readonly<Record<string, string>> = { ours: '#2563eb', bare: '#d1d5db' };
const fillOf = (id: string) => FILL[id] ?? '#94a3b8';

/**
 * The picture of the results: peak requests per second with the range of the turns, then latency on
 * a logarithmic scale.
 */
export function picture(figures: Figures, runtimes: readonly Runtime[], machine: Machine): string {
  const parts: string[] = [];
  let y = 94;
  for (const runtime of runtimes) {
    const panel = peakPanel(figures, runtime, y);
    parts.push(panel.svg);
    y = panel.bottom + 34;
  }
  for (const runtime of runtimes) {
    const panel = latencyPanel(figures, runtime, y);
    if (panel === undefined) continue;
    parts.push(panel.svg);
    y = panel.bottom + 34;
  }
  const { cpu, cores, date, commit } = machine;
  parts.push(
    text(
      32,
      y,
      `${cpu}, ${cores} cores, one of them for the server. ${date.slice(0, 10)}, commit ${commit}.`,
      { size: 12, fill: SOFT },
    ),
  );
  const height = y + 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif">
<title>Authenticated profile reads: requests per second and latency</title>
<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>
${text(32, 38, 'Authenticated profile reads, one worker on one core', { size: 21, weight: 650 })}
${text(32, 60, 'Bars: median of the turns; thin line: least and greatest turn. (e) has every production middleware on.', { size: 13, fill: SOFT })}
${parts.join('\n')}
</svg>
`;
}

interface Panel {
  readonly svg: string;
  readonly bottom: number;
}

function peakPanel(figures: Figures, runtime: Runtime, top: number): Panel {
  const rows = everyone.flatMap((contestant) => {
    const figure = figures.find('profile', 'requests', contestant.id, runtime.major);
    return figure === undefined ? [] : [{ contestant, value: spread(figure.samples) }];
  });
  const most = Math.max(...rows.map(({ value }) => value.max));
  const scale = (value: number) => (value / most) * (WIDTH - LEFT - RIGHT);
  const body = rows.map(({ contestant, value }, i) => {
    const y = top + 22 + i * ROW;
    const middle = y + BAR / 2;
    const end = LEFT + scale(value.median);
    return [
      label(contestant, middle),
      `<rect x="${LEFT}" y="${y}" width="${round(scale(value.median))}" height="${BAR}" rx="3" fill="${fillOf(contestant.id)}"/>`,
      range(LEFT + scale(value.min), LEFT + scale(value.max), middle),
      text(Math.max(end, LEFT + scale(value.max)) + 8, middle + 5, show(value.median), {
        size: 14,
        weight: weightOf(contestant),
      }),
    ].join('');
  });
  return {
    svg:
      heading(top, `Requests per second, Node ${runtime.major}`, 'more is better') +
      body.join('\n'),
    bottom: top + 22 + rows.length * ROW,
  };
}

const LOAD = 'at 60 % of (c) or (e)';
const QUANTILES = ['p50', 'p99', 'p99.9'] as const;
const SHAPES = [4, 5.5, 4];

function latencyPanel(figures: Figures, runtime: Runtime, top: number): Panel | undefined {
  const rows = everyone.flatMap((contestant) => {
    const found = QUANTILES.map((name) =>
      figures.find('latency', `${name} ${LOAD}`, contestant.id, runtime.major),
    );
    return found.every((figure) => figure !== undefined)
      ? [{ contestant, values: found.map((figure) => spread(figure.samples).median) }]
      : [];
  });
  const rate = figures.find('latency', `rate ${LOAD}`, 'ours', runtime.major)?.samples[0];
  if (rows.length === 0 || rate === undefined) return undefined;
  const all = rows.flatMap(({ values }) => values);
  const low = Math.log10(Math.min(...all)) - 0.1;
  const high = Math.log10(Math.max(...all)) + 0.1;
  const at = (ms: number) =>
    LEFT + ((Math.log10(ms) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const body = rows.map(({ contestant, values }, i) => {
    const middle = top + 34 + i * (ROW + 14) + BAR / 2;
    const dots = values.map((ms, k) => {
      const fill = k === 1 ? fillOf(contestant.id) : '#ffffff';
      const caption = text(
        at(ms),
        k === 2 ? middle + 20 : middle - 10,
        `${QUANTILES[k]} ${show(ms)} ms`,
        {
          size: 11,
          fill: SOFT,
          anchor: 'middle',
        },
      );
      return `<circle cx="${round(at(ms))}" cy="${middle}" r="${SHAPES[k]}" fill="${fill}" stroke="${fillOf(contestant.id)}" stroke-width="2"/>${caption}`;
    });
    const [first = 0] = values;
    const line = `<line x1="${round(at(first))}" x2="${round(at(values.at(-1) ?? first))}" y1="${middle}" y2="${middle}" stroke="${fillOf(contestant.id)}" stroke-width="2"/>`;
    return label(contestant, middle) + line + dots.join('');
  });
  return {
    svg:
      heading(
        top,
        `Latency at ${show(rate)} requests per second, Node ${runtime.major}`,
        'open loop, logarithmic scale; left is better',
      ) + body.join('\n'),
    bottom: top + 34 + rows.length * (ROW + 14),
  };
}

const weightOf = ({ id }: Contestant) => (id === 'ours' ? 650 : 400);

function label(contestant: Contestant, middle: number): string {
  return text(LEFT - 12, middle + 5, `(${contestant.letter}) ${contestant.title}`, {
    size: 13,
    anchor: 'end',
    weight: weightOf(contestant),
  });
}

function range(from: number, to: number, y: number): string {
  const cap = (x: number) =>
    `<line x1="${round(x)}" x2="${round(x)}" y1="${y - 4}" y2="${y + 4}" stroke="${INK}" stroke-width="1.2"/>`;
  return `<line x1="${round(from)}" x2="${round(to)}" y1="${y}" y2="${y}" stroke="${INK}" stroke-width="1.2"/>${cap(from)}${cap(to)}`;
}

function heading(top: number, title: string, note: string): string {
  return [
    text(32, top + 4, title, { size: 15, weight: 600 }),
    text(WIDTH - 32, top + 4, note, { size: 12, fill: SOFT, anchor: 'end' }),
    `<line x1="32" x2="${WIDTH - 32}" y1="${top + 12}" y2="${top + 12}" stroke="${FAINT}"/>`,
  ].join('');
}

interface TextStyle {
  readonly size: number;
  readonly fill?: string;
  readonly weight?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
}

function text(
  x: number,
  y: number,
  content: string,
  { size, fill = INK, weight = 400, anchor = 'start' }: TextStyle,
): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${escaped}</text>`;
}

const round = (value: number) => Math.round(value * 10) / 10;

/** A line over the seconds of a run; undefined where nothing was measured. */
export interface Series {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
}

export interface Chart {
  readonly id: string;
  readonly title: string;
  /** After each number, with its space. */
  readonly unit: string;
  /** The time of each value, in seconds. */
  readonly seconds: readonly number[];
  readonly series: readonly Series[];
  readonly kind: 'lines' | 'stacked';
  /** A level to compare with. */
  readonly level?: { readonly name: string; readonly value: number };
}

const WIDTH = 1000;
const HEIGHT = 200;

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

export const shown = (value: number): string =>
  value.toLocaleString('en', { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 });

/** The least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below `value`. */
export function niceMax(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power >= value * 0.999) ?? 10;
  return step * power;
}

/** SVG that stretches; its labels are HTML, so that they stay readable on a phone. */
export function chartHtml(chart: Chart): string {
  const { id, title, unit, seconds, series, level } = chart;
  if (series.length === 0)
    return `<section id="${id}"><h2>${escapeHtml(title)}</h2><p class="soft">None.</p></section>`;
  const tops =
    chart.kind === 'stacked'
      ? seconds.map((_, i) => series.reduce((sum, { values }) => sum + (values[i] ?? 0), 0))
      : series.flatMap(({ values }) => values.map((value) => value ?? 0));
  const max = niceMax(Math.max(0, ...tops, level?.value ?? 0));
  const plot = chart.kind === 'stacked' ? bars(chart, max) : lines(chart, max);
  const y = (value: number) => HEIGHT - (value / max) * HEIGHT;
  const grid = [0, 0.5, 1].map((part) => line('grid', y(max * part))).join('');
  const mark = level === undefined ? '' : line('level', y(level.value));
  const [first = 0, last = 0] = [seconds[0], seconds.at(-1)];
  return `<section id="${id}" class="${chart.kind}"><h2>${escapeHtml(title)}</h2>
<div class="plot"><div class="y" aria-hidden="true"><span>${shown(max)}${unit}</span><span>${shown(max / 2)}</span><span>0</span></div>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${escapeHtml(`${title}: ${summaryOf(chart)}`)}">${grid}${plot}${mark}${hits(chart)}</svg></div>
<div class="x" aria-hidden="true"><span>${first} s</span><span>${Math.round((first + last) / 2)} s</span><span>${last} s</span></div>
<ul class="legend">${[...series.map(({ name }, i) => key(`s${i}`, name)), ...(level === undefined ? [] : [key('level', level.name)])].join('')}</ul></section>`;
}

const line = (name: string, y: number) =>
  `<line class="${name}" x1="0" x2="${WIDTH}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}"/>`;

const key = (name: string, text: string) =>
  `<li><svg viewBox="0 0 24 8" aria-hidden="true"><line class="${name}" x1="0" x2="24" y1="4" y2="4"/></svg>${escapeHtml(text)}</li>`;

const xOf = (i: number, count: number) => (count < 2 ? WIDTH / 2 : (i / (count - 1)) * WIDTH);

function lines({ seconds, series }: Chart, max: number): string {
  return series
    .map(({ values }, n) => {
      let pen = 'M';
      const path = values.map((value, i) => {
        if (value === undefined) {
          pen = 'M';
          return '';
        }
        const point = `${pen}${xOf(i, seconds.length).toFixed(1)} ${(HEIGHT - (value / max) * HEIGHT).toFixed(1)}`;
        pen = 'L';
        return point;
      });
      return `<path class="s${n}" d="${path.join('')}"/>`;
    })
    .join('');
}

function bars({ seconds, series }: Chart, max: number): string {
  const width = WIDTH / Math.max(1, seconds.length);
  return seconds
    .map((_, i) => {
      let base = HEIGHT;
      return series
        .map(({ values }, n) => {
          const height = ((values[i] ?? 0) / max) * HEIGHT;
          base -= height;
          return height === 0
            ? ''
            : `<rect class="b${n}" x="${(i * width).toFixed(1)}" y="${base.toFixed(1)}" width="${(width * 0.9).toFixed(1)}" height="${height.toFixed(1)}"/>`;
        })
        .join('');
    })
    .join('');
}

/** The values of a second, for a pointer that rests on it. */
function hits({ seconds, series, unit }: Chart): string {
  const width = WIDTH / Math.max(1, seconds.length);
  return seconds
    .map((second, i) => {
      const values = series.map(
        ({ name, values }) => `${name}: ${values[i] === undefined ? '–' : shown(values[i])}${unit}`,
      );
      return `<rect class="hit" x="${(i * width).toFixed(1)}" y="0" width="${width.toFixed(1)}" height="${HEIGHT}"><title>${escapeHtml([`${second} s`, ...values].join('\n'))}</title></rect>`;
    })
    .join('');
}

function summaryOf({ series, unit }: Chart): string {
  return series
    .map(({ name, values }) => {
      const known = values.filter((value) => value !== undefined);
      return `${name} at most ${shown(Math.max(0, ...known))}${unit}`;
    })
    .join(', ');
}

import { FLOORS } from './imports';
import type { Layout, Room } from './rooms';

const INNER = 800;
const GUTTER = 160;
const MARGIN = 20;
const GAP = 12;
const BAND_GAP = 46;
const LINE = 16;
/** Rooms of many files show so many lines of names. */
const NAME_LINES = 6;
const STYLE = `
    .band { fill: #f5f7fa; stroke: #d5dce6; } .room { fill: #fff; stroke: #b9c4d2; }
    .t { fill: #1c2430; font-weight: 600; } .s { fill: #5d6b7e; font-size: 12px; }
    .r { fill: #0b62d6; font-size: 12px; } .l { stroke: #5d6b7e; fill: none; stroke-width: 1.4; }
    .up { stroke: #c62828; fill: none; stroke-width: 2.4; } .tip { fill: #5d6b7e; }
    @media (prefers-color-scheme: dark) {
      svg { background: #12161c; } .band { fill: #1a2029; stroke: #2b3543; }
      .room { fill: #12161c; stroke: #3a4656; } .t { fill: #e4e9f0; } .s { fill: #97a5b8; }
      .r { fill: #6ea8ff; } .l { stroke: #97a5b8; } .tip { fill: #97a5b8; }
    }`;

interface Band {
  readonly top: number;
  readonly height: number;
  readonly body: string;
}

/** The floors as bands, the rooms as boxes, and the imports between floors as counted arrows. */
export function layoutSvg(layout: Layout): string {
  const bands: Band[] = [];
  let top = MARGIN;
  for (const [floor, rooms] of layout.floors.entries()) {
    const band = bandOf(rooms, FLOORS[floor] ?? [], top);
    bands.push(band);
    top += band.height + BAND_GAP;
  }
  const height = top - BAND_GAP + MARGIN;
  const width = INNER + GUTTER + 2 * MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="14" role="img" aria-label="Floors and rooms of src, and the imports between them">
  <style>${STYLE}
  </style>
  <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>
  ${bands.map(({ body }) => body).join('\n  ')}
  ${arrowsOf(layout, bands).join('\n  ')}
</svg>
`;
}

function bandOf(rooms: readonly Room[], wings: readonly string[], top: number): Band {
  const share = (INNER - GAP) / wings.length;
  const groups = wings.map((wing, index) =>
    groupOf(
      rooms.filter((room) => room.wing === wing),
      { wing, left: MARGIN + GAP + index * share, top: top + GAP, width: share - GAP },
      Math.max(1, Math.round(4 / wings.length)),
    ),
  );
  const height = Math.max(...groups.map((group) => group.height)) + 2 * GAP;
  const frame = `<rect class="band" x="${MARGIN}" y="${top}" width="${INNER}" height="${height}" rx="10"/>`;
  return { top, height, body: [frame, ...groups.map(({ body }) => body)].join('\n  ') };
}

interface Place {
  readonly wing: string;
  readonly left: number;
  readonly top: number;
  readonly width: number;
}

function groupOf(rooms: readonly Room[], { wing, left, top, width }: Place, columns: number) {
  const perRow = Math.min(columns, rooms.length);
  const boxWidth = (width - (perRow - 1) * GAP) / perRow;
  const parts = [text('t', left, top + 14, `${wing === 'main' ? 'main.ts' : `${wing}/`}`)];
  let y = top + 24;
  for (let first = 0; first < rooms.length; first += perRow) {
    const row = rooms.slice(first, first + perRow).map((room) => linesOf(room, boxWidth));
    const height = Math.max(...row.map((lines) => lines.length)) * LINE + 14;
    for (const [column, lines] of row.entries())
      parts.push(boxOf(lines, left + column * (boxWidth + GAP), y, boxWidth, height));
    y += height + GAP;
  }
  return { height: y - GAP - top, body: parts.join('\n  ') };
}

type Line = readonly [style: string, text: string];

/** A room's name and size, its contents, and the rooms of its own floor that it imports. */
function linesOf(room: Room, width: number): Line[] {
  const short = (name: string) => (name === room.wing ? 'files of its own' : leafOf(name));
  const beside = room.imports.filter((one) => one.room.split('/')[0] === room.wing);
  return [
    ['t', `${short(room.name)} · ${room.files}`],
    ...shortened(room.contents, width).map((line): Line => ['s', line]),
    ...wrapped(
      beside.map(
        ({ room: name, count }) => `${name === room.wing ? `${name}/*` : leafOf(name)} ${count}`,
      ),
      width,
      '→ ',
    ).map((line): Line => ['r', line]),
  ];
}

function shortened(names: readonly string[], width: number): string[] {
  for (let shown = names.length; ; shown -= 1) {
    const rest = shown < names.length ? [`… ${names.length - shown} more`] : [];
    const lines = wrapped([...names.slice(0, shown), ...rest], width);
    if (lines.length <= NAME_LINES) return lines;
  }
}

const leafOf = (name: string): string => name.split('/').at(-1) ?? name;

function wrapped(words: readonly string[], width: number, before = ''): string[] {
  const most = Math.floor((width - 18) / 7);
  const lines: string[] = [];
  for (const [index, word] of words.entries()) {
    const part = `${index === 0 ? before : ''}${word}${index < words.length - 1 ? ',' : ''}`;
    const last = lines.at(-1);
    if (last === undefined || last.length + part.length + 1 > most) lines.push(part);
    else lines[lines.length - 1] = `${last} ${part}`;
  }
  return lines;
}

function boxOf(lines: readonly Line[], x: number, y: number, width: number, height: number) {
  const rows = lines.map(([style, line], index) => text(style, x + 9, y + 19 + index * LINE, line));
  return `<rect class="room" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>${rows.join('')}`;
}

/** Neighbouring floors: an arrow between them. Others, and any arrow up: a line at the side. */
function arrowsOf({ between }: Layout, bands: readonly Band[]): string[] {
  const counts = new Map<string, number>();
  for (const [pair, count] of between) {
    const [from, to] = pair.split(' ').map(floorNumber);
    const key = `${from} ${to}`;
    counts.set(key, (counts.get(key) ?? 0) + count);
  }
  let side = 0;
  return [...counts].sort().map(([key, count]) => {
    const [from = 0, to = 0] = key.split(' ').map(Number);
    const [start, end] = [bands[from], bands[to]];
    if (start === undefined || end === undefined) return '';
    if (to === from + 1)
      return arrow(`M${INNER / 2} ${start.top + start.height}V${end.top - 2}`, count, {
        x: INNER / 2 + 8,
        y: end.top - BAND_GAP / 2 + 4,
      });
    const x = MARGIN + INNER + 22 + side * 22;
    const startY = start.top + start.height / 2 + side * 4;
    const endY = end.top + 20 + from * 24 + (from > to ? 60 : 0);
    side += 1;
    const path = `M${MARGIN + INNER} ${startY}H${x}V${endY}H${MARGIN + INNER + 3}`;
    return arrow(path, count, { x: MARGIN + INNER + 7, y: endY - 7 }, from > to);
  });
}

const floorNumber = (wing: string): number =>
  FLOORS.findIndex((floor) => (floor as readonly string[]).includes(wing));

function arrow(path: string, count: number, at: { x: number; y: number }, up = false): string {
  return `<path class="${up ? 'up' : 'l'}" d="${path}" marker-end="url(#tip)"/>${text('s', at.x, at.y, String(count))}`;
}

const text = (style: string, x: number, y: number, content: string): string =>
  `<text class="${style}" x="${Math.round(x)}" y="${Math.round(y)}">${content}</text>`;

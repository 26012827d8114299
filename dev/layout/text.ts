import { FLOORS } from './imports';
import type { Layout, Room } from './rooms';

const WIDTH = 100;
const INDENT = 26;

/** The floors, top to bottom; for each room its size and the rooms that it imports, counted. */
export function layoutText({ floors, upward }: Layout): string {
  const blocks = floors.map((rooms, floor) =>
    [`${FLOORS[floor]?.join(' | ')}`, ...rooms.map(roomText)].join('\n'),
  );
  const verdict =
    upward === 0
      ? 'No import points up.'
      : `${upward} ${upward === 1 ? 'import points' : 'imports point'} UP.`;
  return `${blocks.join('\n\n')}\n\n${verdict} "↔": two rooms of one floor import each other.\n`;
}

function roomText({ name, files, lines, imports }: Room): string {
  const head = `  ${name}`.padEnd(INDENT - 2);
  const size = `${files} files, ${lines} lines`;
  const arrows = imports.map(
    ({ room, count, up, mutual }) => `${up ? '↑ UP ' : ''}${room}${mutual ? ' ↔' : ''} ${count}`,
  );
  return [`${head}  ${size}`, ...wrap(arrows)].join('\n');
}

function wrap(parts: readonly string[]): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last === undefined) lines.push(`${' '.repeat(INDENT)}→ ${part}`);
    else if (last.length + part.length + 2 > WIDTH) lines.push(`${' '.repeat(INDENT + 2)}${part}`);
    else lines[lines.length - 1] = `${last}, ${part}`;
  }
  return lines;
}

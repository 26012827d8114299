import { FLOORS, floorOf, roomOf, type Sources, wingOf } from './imports';

interface RoomImport {
  readonly room: string;
  readonly count: number;
  readonly up: boolean;
  /** That room imports this one as well. */
  readonly mutual: boolean;
}

export interface Room {
  readonly name: string;
  readonly wing: string;
  readonly floor: number;
  readonly files: number;
  readonly lines: number;
  /** Names of the folders inside, else of the files. */
  readonly contents: readonly string[];
  readonly imports: readonly RoomImport[];
}

export interface Layout {
  readonly floors: readonly (readonly Room[])[];
  /** Imports from one wing to another, counted. */
  readonly between: ReadonlyMap<string, number>;
  readonly upward: number;
}

/** Groups the files of `src` into rooms, and the imports between them into counted arrows. */
export function layoutOf(sources: Sources): Layout {
  const names = [...new Set(sources.files.map(roomOf))].sort();
  const rooms = names.map((name) => roomFrom(name, sources));
  const between = new Map<string, number>();
  for (const { from, to } of sources.arrows) {
    if (floorOf(to) < 0 || wingOf(from) === wingOf(to)) continue;
    const key = `${wingOf(from)} ${wingOf(to)}`;
    between.set(key, (between.get(key) ?? 0) + 1);
  }
  const all = rooms.flatMap(({ imports }) => imports);
  return {
    floors: FLOORS.map((_, floor) => rooms.filter((room) => room.floor === floor)),
    between,
    upward: all.filter(({ up }) => up).reduce((sum, { count }) => sum + count, 0),
  };
}

function roomFrom(name: string, { files, arrows, read }: Sources): Room {
  const own = files.filter((file) => roomOf(file) === name);
  const floor = floorOf(own[0] ?? '');
  const counts = new Map<string, number>();
  for (const { from, to } of arrows) {
    if (roomOf(from) !== name || floorOf(to) < 0 || roomOf(to) === name) continue;
    counts.set(roomOf(to), (counts.get(roomOf(to)) ?? 0) + 1);
  }
  const inside = own
    .filter((file) => file.startsWith(`${name}/`))
    .map((file) => file.slice(name.length + 1).replace(/\.ts$/, ''));
  const folders = [...new Set(inside.flatMap((path) => path.match(/^[^/]+(?=\/)/) ?? []))];
  return {
    name,
    wing: wingOf(name),
    floor,
    files: own.length,
    lines: own.reduce((sum, file) => sum + read(file).split('\n').length - 1, 0),
    contents: folders.length > 0 ? folders : inside,
    imports: [...counts]
      .map(([room, count]) => ({
        room,
        count,
        up: floorOf(room) < floor,
        mutual: arrows.some(({ from, to }) => roomOf(from) === room && roomOf(to) === name),
      }))
      .sort((a, b) => floorOf(a.room) - floorOf(b.room) || a.room.localeCompare(b.room)),
  };
}

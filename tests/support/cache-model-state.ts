import type { World } from './cache-model';

export const IDLE = 0;
export const ASKING = 1;
export const MISSED = 2;
export const LEASED = 3;
export const UNLEASED = 4;
export const LOADED = 5;
export const JOINED = 6;
export const DONE = 7;

export interface Reader {
  at: number;
  floor: number;
  age: number;
  nonce: number;
  value: number;
  joins: number;
  mark: number;
  settled: boolean;
}

export const OUTSIDE = 0;
export const INSIDE = 1;
export const COMMITTED = 2;
export const LEFT = 3;
export const ACKNOWLEDGED = 4;
export const CRASHED = 5;
export const EXPIRED = 6;
/** Between the two halves of leaving. */
export const LEAVING = 7;

export interface Writer {
  at: number;
  version: number;
  age: number;
}

export interface State {
  truth: number;
  acknowledged: number;
  nonce: number;
  nonces: number;
  /** [nonce, holder of the lease or -1, version] */
  stored: readonly [number, number, number] | null;
  inside: number;
  /** Per worker: [version, age, mark or -1: not to be renewed]. */
  near: (readonly [number, number, number] | null)[];
  /** The stamps in Redis: life of the table times LIFE, plus the writes counted; LOST: there is no table. */
  stamp: number;
  lives: number;
  /** Per worker, what it saw last of them, and since when it holds: [stamp, age]. */
  boards: (readonly [number, number] | null)[];
  /** Per worker, a look under way: [stamp or NOT_ANSWERED, age]. */
  looks: (readonly [number, number] | null)[];
  /** Invalidations on their way to each worker (tracking only). */
  messages: number[];
  readers: Reader[];
  writers: Writer[];
  fills: (readonly [number, number, number])[];
  left: [evictions: number, flushes: number, crashes: number, looks: number, lostEntries: number];
}

export const LIFE = 100;
export const LOST = -1;
export const NOT_ANSWERED = -2;

export function first(world: World, tau: number): State {
  return {
    truth: 0,
    acknowledged: 0,
    nonce: 0,
    nonces: 1,
    stored: null,
    inside: 0,
    near: Array.from({ length: world.workers }, () => null),
    stamp: 0,
    lives: 1,
    // Seen long ago: good for marks, and not for renewals.
    boards: Array.from({ length: world.workers }, () => (world.looks === undefined ? null : [0, tau])),
    looks: Array.from({ length: world.workers }, () => null),
    messages: Array.from({ length: world.workers }, () => 0),
    readers: world.readers.map(() => ({ at: IDLE, floor: 0, age: 0, nonce: 0, value: 0, joins: -1, mark: -1, settled: false })),
    writers: Array.from({ length: world.writers }, () => ({ at: OUTSIDE, version: 0, age: 0 })),
    fills: [],
    left: [world.evictions, world.flushes, world.crashes, world.looks ?? 0, world.lostEntries ?? 0],
  };
}

export function copy(state: State): State {
  return {
    ...state,
    near: [...state.near],
    boards: [...state.boards],
    looks: [...state.looks],
    messages: [...state.messages],
    readers: state.readers.map((reader) => ({ ...reader })),
    writers: state.writers.map((writer) => ({ ...writer })),
    fills: [...state.fills],
    left: [...state.left],
  };
}

export const keyOf = (s: State): string =>
  `${s.truth},${s.acknowledged},${s.nonce},${s.nonces},${s.stored},${s.inside};${s.near.join('|')};${s.messages};${s.stamp},${s.lives},${s.boards.join('|')},${s.looks.join('|')};${s.readers
    .map((r) => `${r.at}.${r.floor}.${r.age}.${r.nonce}.${r.value}.${r.joins}.${r.mark}.${r.settled}`)
    .join('|')};${s.writers.map((w) => `${w.at}.${w.version}.${w.age}`).join('|')};${s.fills.join('|')};${s.left}`;

/** Forgets marks that no look can ever confirm again: states that differ in nothing else are the same. */
export function forgetOldMarks(s: State, tau: number, readers: readonly number[]): void {
  for (const [worker, board] of s.boards.entries()) {
    if (board !== null && board[1] >= tau && board[0] !== s.stamp) s.boards[worker] = null;
  }
  const shown = (worker: number, mark: number): boolean =>
    mark === s.stamp || s.boards[worker]?.[0] === mark || s.looks[worker]?.[0] === mark;
  for (const [index, reader] of s.readers.entries()) {
    if (reader.mark !== -1 && !shown(readers[index] as number, reader.mark)) reader.mark = -1;
  }
  for (const [worker, near] of s.near.entries()) {
    if (near === null || shown(worker, near[2])) continue;
    s.near[worker] = near[1] >= tau ? null : [near[0], near[1], -1];
  }
}

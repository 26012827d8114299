import type { World } from './cache-model-world';

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
  snapshot: number;
  renewable: boolean;
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
  /** Per worker, its local entry: [version, age, snapshot or -1: not to be renewed]. */
  local: (readonly [number, number, number] | null)[];
  /**
   * The counter in Redis: life of the table times LIFE, plus the writes counted; LOST: there is no
   * table.
   */
  counter: number;
  lives: number;
  /** Per worker, the counter that it read last, and the age of that read: [counter, age]. */
  tables: (readonly [number, number] | null)[];
  /** Per worker, a read of the counter under way: [counter or NOT_ANSWERED, age]. */
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
    local: Array.from({ length: world.workers }, () => null),
    counter: 0,
    lives: 1,
    // An old read of the counter: valid for snapshots, not for renewals.
    tables: Array.from({ length: world.workers }, () =>
      world.looks === undefined ? null : [0, tau],
    ),
    looks: Array.from({ length: world.workers }, () => null),
    messages: Array.from({ length: world.workers }, () => 0),
    readers: world.readers.map(() => ({
      at: IDLE,
      floor: 0,
      age: 0,
      nonce: 0,
      value: 0,
      joins: -1,
      snapshot: -1,
      renewable: false,
    })),
    writers: Array.from({ length: world.writers }, () => ({ at: OUTSIDE, version: 0, age: 0 })),
    fills: [],
    left: [world.evictions, world.flushes, world.crashes, world.looks ?? 0, world.lostEntries ?? 0],
  };
}

export function copy(state: State): State {
  return {
    ...state,
    local: [...state.local],
    tables: [...state.tables],
    looks: [...state.looks],
    messages: [...state.messages],
    readers: state.readers.map((reader) => ({ ...reader })),
    writers: state.writers.map((writer) => ({ ...writer })),
    fills: [...state.fills],
    left: [...state.left],
  };
}

/** Small integers, from -2 on, as one string: a tenth of the size and time of a readable key. */
export function keyOf(s: State): string {
  const numbers: number[] = [s.truth, s.acknowledged, s.nonce, s.inside, s.counter, s.lives];
  const list = (entries: readonly (readonly number[] | null)[]): void => {
    numbers.push(entries.length);
    for (const entry of entries) {
      if (entry === null) numbers.push(NOTHING);
      else numbers.push(...entry);
    }
  };
  list([s.stored, ...s.local]);
  list(s.tables);
  list(s.looks);
  list(s.fills);
  numbers.push(...s.messages, ...s.left);
  for (const r of s.readers)
    numbers.push(r.at, r.floor, r.age, r.nonce, r.value, r.joins, r.snapshot, +r.renewable);
  for (const w of s.writers) numbers.push(w.at, w.version, w.age);
  return String.fromCharCode(...numbers.map((n) => n - NOTHING));
}

const NOTHING = -3;

/**
 * Merges equivalent states. Nonces are only compared for equality, so they
 * are numbered in the order in which they occur. With leases, a value, a fill or a lease under
 * another nonce than the current one is dead, since a nonce never returns.
 */
export function mergeNonces(s: State, hasLease: boolean): void {
  if (hasLease) {
    if (s.stored !== null && s.stored[0] !== s.nonce) s.stored = null;
    s.fills = s.fills.filter(([nonce]) => nonce === s.nonce && s.nonce !== 0);
    for (const reader of s.readers)
      if (reader.at !== LEASED || reader.nonce !== s.nonce) reader.nonce = 0;
  }
  const names = new Map([[0, 0]]);
  const rename = (nonce: number): number => {
    const known = names.get(nonce);
    if (known !== undefined) return known;
    names.set(nonce, names.size);
    return names.size - 1;
  };
  s.nonce = rename(s.nonce);
  if (s.stored !== null) s.stored = [rename(s.stored[0]), s.stored[1], s.stored[2]];
  for (const reader of s.readers) reader.nonce = rename(reader.nonce);
  s.fills = s.fills.map(([nonce, holder, version]) => [rename(nonce), holder, version]);
  s.nonces = names.size;
}

/**
 * Removes snapshots that no read can confirm again, so that states that differ only in them are
 * merged.
 */
export function forgetOldSnapshots(s: State, tau: number, readers: readonly number[]): void {
  for (const [worker, table] of s.tables.entries()) {
    if (table !== null && table[1] >= tau && table[0] !== s.counter) s.tables[worker] = null;
  }
  const shown = (worker: number, snapshot: number): boolean =>
    snapshot === s.counter ||
    s.tables[worker]?.[0] === snapshot ||
    s.looks[worker]?.[0] === snapshot;
  for (const [index, reader] of s.readers.entries()) {
    if (reader.snapshot !== -1 && !shown(readers[index] as number, reader.snapshot))
      reader.snapshot = -1;
  }
  for (const [worker, local] of s.local.entries()) {
    if (local === null || shown(worker, local[2])) continue;
    s.local[worker] = local[1] >= tau ? null : [local[0], local[1], -1];
  }
}

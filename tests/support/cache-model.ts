import { type Found, type Step, search } from './cache-search';

/**
 * The protocol on one key as a small state machine, explored over every interleaving. Versions are numbers, so
 * "stale" is "older than what had been acknowledged when the read began". Time passes in ticks; τ is `tau` of them.
 */
export interface Protocol {
  /** IN → commit → OUT, and what simpler caches do instead. */
  readonly write: 'enter-leave' | 'delete-after' | 'delete-before' | 'delete-twice' | 'write-through' | 'tracking';
  /** Fill only while the lease is held; otherwise fill whatever was read. */
  readonly lease: boolean;
  /** Writers wait τ before they acknowledge. */
  readonly wait: boolean;
  readonly tau: number;
  /** Age from which a read under way is no longer joined. */
  readonly joinBelow: number;
  /** A writer's entry expires when the writer is gone. */
  readonly entriesExpire: boolean;
}

export const PROTOCOL: Protocol = { write: 'enter-leave', lease: true, wait: true, tau: 2, joinBelow: 2, entriesExpire: true };

export interface World {
  /** The worker of each reader. */
  readonly readers: readonly number[];
  readonly workers: number;
  readonly writers: number;
  /** How often a key may be evicted, the whole store flushed, a writer killed. */
  readonly evictions: number;
  readonly flushes: number;
  readonly crashes: number;
}

const IDLE = 0;
const ASKING = 1;
const MISSED = 2;
const LEASED = 3;
const UNLEASED = 4;
const LOADED = 5;
const JOINED = 6;
const DONE = 7;

interface Reader {
  at: number;
  floor: number;
  age: number;
  nonce: number;
  value: number;
  joins: number;
}

const OUTSIDE = 0;
const INSIDE = 1;
const COMMITTED = 2;
const LEFT = 3;
const ACKNOWLEDGED = 4;
const CRASHED = 5;
const EXPIRED = 6;

interface Writer {
  at: number;
  version: number;
  age: number;
}

interface State {
  truth: number;
  acknowledged: number;
  nonce: number;
  nonces: number;
  /** [nonce, holder of the lease or -1, version] */
  stored: readonly [number, number, number] | null;
  inside: number;
  /** Per worker: [version, age]. */
  near: (readonly [number, number] | null)[];
  /** Invalidations on their way to each worker (tracking only). */
  messages: number[];
  readers: Reader[];
  writers: Writer[];
  fills: (readonly [number, number, number])[];
  left: [evictions: number, flushes: number, crashes: number];
}

export interface Verdict extends Found {
  /** The steps after which nothing moves any more and a shared copy is not the truth. */
  readonly stuck: readonly string[] | undefined;
  /** The steps after which readers can never fill again. */
  readonly barred: readonly string[] | undefined;
}

function first(world: World): State {
  return {
    truth: 0,
    acknowledged: 0,
    nonce: 0,
    nonces: 1,
    stored: null,
    inside: 0,
    near: Array.from({ length: world.workers }, () => null),
    messages: Array.from({ length: world.workers }, () => 0),
    readers: world.readers.map(() => ({ at: IDLE, floor: 0, age: 0, nonce: 0, value: 0, joins: -1 })),
    writers: Array.from({ length: world.writers }, () => ({ at: OUTSIDE, version: 0, age: 0 })),
    fills: [],
    left: [world.evictions, world.flushes, world.crashes],
  };
}

function copy(state: State): State {
  return {
    ...state,
    near: [...state.near],
    messages: [...state.messages],
    readers: state.readers.map((reader) => ({ ...reader })),
    writers: state.writers.map((writer) => ({ ...writer })),
    fills: [...state.fills],
    left: [...state.left],
  };
}

const keyOf = (s: State): string =>
  `${s.truth},${s.acknowledged},${s.nonce},${s.nonces},${s.stored},${s.inside};${s.near.join('|')};${s.messages};${s.readers
    .map((r) => `${r.at}.${r.floor}.${r.age}.${r.nonce}.${r.value}.${r.joins}`)
    .join('|')};${s.writers.map((w) => `${w.at}.${w.version}.${w.age}`).join('|')};${s.fills.join('|')};${s.left}`;

/** Every step that can be taken from a state. */
function steps(from: State, protocol: Protocol, world: World): Step<State>[] {
  const found: Step<State>[] = [];
  const take = (name: string, change: (s: State) => boolean | undefined): void => {
    const next = copy(from);
    const stale = change(next) === true;
    found.push([name, next, stale]);
  };
  const shared = (s: State) => (s.stored !== null && (!protocol.lease || s.stored[0] === s.nonce) && s.nonce !== 0 ? s.stored : null);

  /** Ends a read and all that joined it. True when one of them gets something stale. */
  function answer(s: State, index: number, value: number): boolean {
    const reader = s.readers[index] as Reader;
    const worker = world.readers[index] as number;
    const present = s.near[worker];
    if (reader.age < protocol.tau && (present == null || present[1] >= reader.age)) s.near[worker] = [value, reader.age];
    let stale = false;
    for (const [other, one] of s.readers.entries()) {
      if (other !== index && !(one.at === JOINED && one.joins === index)) continue;
      stale ||= value < one.floor;
      Object.assign(one, { at: DONE, floor: 0, age: 0, nonce: 0, value: 0, joins: -1 });
    }
    return stale;
  }

  function lease(s: State, index: number): boolean | undefined {
    const reader = s.readers[index] as Reader;
    if (s.inside !== 0) {
      reader.at = UNLEASED;
      return undefined;
    }
    if (s.nonce === 0) {
      s.nonce = s.nonces;
      s.nonces += 1;
    }
    const present = shared(s);
    if (present !== null && present[1] === -1) return answer(s, index, present[2]);
    if (present !== null && protocol.lease) {
      reader.at = UNLEASED;
      return undefined;
    }
    if (protocol.lease) s.stored = [s.nonce, index, 0];
    reader.nonce = s.nonce;
    reader.at = LEASED;
    return undefined;
  }

  function readerSteps(reader: Reader, index: number): void {
    const worker = world.readers[index] as number;
    const name = `reader ${index}`;
    if (reader.at === IDLE) {
      take(`${name} starts`, (s) => {
        const me = s.readers[index] as Reader;
        const near = s.near[worker];
        if (near != null && near[1] < protocol.tau) {
          me.at = DONE;
          return near[0] < s.acknowledged;
        }
        me.floor = s.acknowledged;
        const flight = s.readers.findIndex(
          (other, i) =>
            i !== index && world.readers[i] === worker && other.at >= ASKING && other.at <= LOADED && other.age < protocol.joinBelow,
        );
        me.at = flight === -1 ? ASKING : JOINED;
        me.joins = flight;
        return undefined;
      });
    } else if (reader.at === ASKING) {
      take(`${name} asks Redis`, (s) => {
        const present = shared(s);
        if (present !== null && present[1] === -1) return answer(s, index, present[2]);
        (s.readers[index] as Reader).at = present === null ? MISSED : UNLEASED;
        return undefined;
      });
    } else if (reader.at === MISSED) take(`${name} asks for the lease`, (s) => lease(s, index));
    else if (reader.at === LEASED || reader.at === UNLEASED) {
      take(`${name} reads the database`, (s) => {
        const me = s.readers[index] as Reader;
        me.value = s.truth;
        me.at = LOADED;
        if (reader.at === LEASED) s.fills.push([me.nonce, index, s.truth]);
        return undefined;
      });
    } else if (reader.at === LOADED) take(`${name} answers`, (s) => answer(s, index, reader.value));
  }

  const drop = (s: State): void => {
    s.nonce = 0;
    if (!protocol.lease) s.stored = null;
    if (protocol.write === 'tracking') s.messages = s.messages.map(() => 1);
  };

  function enters(s: State, bit: number): void {
    if (protocol.write === 'enter-leave') {
      drop(s);
      s.inside |= bit;
    } else if (protocol.write === 'delete-before' || protocol.write === 'delete-twice') drop(s);
  }

  function leaves(s: State, bit: number, version: number): void {
    if (protocol.write === 'write-through') {
      if (s.nonce === 0) s.nonce = s.nonces++;
      s.stored = [s.nonce, -1, version];
    } else if (protocol.write !== 'delete-before') drop(s);
    s.inside &= ~bit;
  }

  function writerSteps(writer: Writer, index: number): void {
    const bit = 1 << index;
    const name = `writer ${index}`;
    const move = (what: string, to: number, change: (s: State, me: Writer) => void): void =>
      take(`${name} ${what}`, (s) => {
        const me = s.writers[index] as Writer;
        me.at = to;
        change(s, me);
        return undefined;
      });
    if (writer.at === OUTSIDE) move('enters', INSIDE, (s) => enters(s, bit));
    else if (writer.at === INSIDE) {
      move('commits', COMMITTED, (s, me) => {
        s.truth += 1;
        me.version = s.truth;
      });
    } else if (writer.at === COMMITTED) {
      move('leaves', LEFT, (s, me) => {
        leaves(s, bit, me.version);
        me.age = 0;
      });
    } else if (writer.at === LEFT && (!protocol.wait || writer.age >= protocol.tau)) {
      move('acknowledges', ACKNOWLEDGED, (s, me) => {
        s.acknowledged = Math.max(s.acknowledged, me.version);
        Object.assign(me, { version: 0, age: 0 });
      });
    } else if (writer.at === CRASHED && protocol.entriesExpire) {
      move('has its entry expire', EXPIRED, (s) => {
        s.inside &= ~bit;
      });
    }
  }

  function killSteps(writer: Writer, index: number): void {
    if ((writer.at === INSIDE || writer.at === COMMITTED) && from.left[2] > 0) {
      take(`writer ${index} is killed`, (s) => {
        s.left[2] -= 1;
        Object.assign(s.writers[index] as Writer, { at: CRASHED, version: 0 });
        return undefined;
      });
    }
  }

  function lossSteps(): void {
    if (from.left[0] > 0 && from.stored !== null) {
      take('the value is evicted', (s) => {
        s.left[0] -= 1;
        s.stored = null;
        return undefined;
      });
    }
    if (from.left[0] > 0 && from.nonce !== 0) {
      take('the nonce is evicted', (s) => {
        s.left[0] -= 1;
        s.nonce = 0;
        return undefined;
      });
    }
    if (from.left[1] > 0 && (from.nonce !== 0 || from.inside !== 0)) {
      take('Redis is flushed', (s) => {
        Object.assign(s, { nonce: 0, stored: null, inside: 0 });
        s.left[1] -= 1;
        return undefined;
      });
    }
  }

  for (const [index, reader] of from.readers.entries()) readerSteps(reader, index);
  for (const [index, writer] of from.writers.entries()) {
    writerSteps(writer, index);
    killSteps(writer, index);
  }
  for (const [index, [nonce, holder, version]] of from.fills.entries()) {
    take(`the fill of reader ${holder} arrives`, (s) => {
      s.fills.splice(index, 1);
      const held = s.stored !== null && s.nonce === nonce && s.stored[0] === nonce && s.stored[1] === holder;
      if (protocol.lease && !held) return undefined;
      if (s.nonce === 0) s.nonce = s.nonces++;
      s.stored = [s.nonce, -1, version];
      return undefined;
    });
  }
  for (const [worker, pending] of from.messages.entries()) {
    if (pending === 0) continue;
    take(`worker ${worker} hears of the write`, (s) => {
      s.messages[worker] = 0;
      s.near[worker] = null;
      return undefined;
    });
  }
  lossSteps();
  const aging =
    from.near.some((one) => one !== null && one[1] < protocol.tau) ||
    from.readers.some((one) => one.at >= ASKING && one.at <= LOADED && one.age < protocol.tau) ||
    from.writers.some((one) => one.at === LEFT && one.age < protocol.tau);
  if (aging && protocol.tau > 0 && Number.isFinite(protocol.tau)) {
    take('time passes', (s) => {
      const older = (age: number): number => Math.min(protocol.tau, age + 1);
      s.near = s.near.map((one) => (one === null || one[1] + 1 >= protocol.tau ? null : [one[0], one[1] + 1]));
      for (const one of s.readers) if (one.at >= ASKING && one.at <= LOADED) one.age = older(one.age);
      for (const one of s.writers) if (one.at === LEFT) one.age = older(one.age);
      return undefined;
    });
  }
  return found;
}

/** Explores all states of `world` under `protocol`. */
export function explore(protocol: Protocol, world: World): Verdict {
  let stuck: string[] | undefined;
  let barred: string[] | undefined;
  const found = search(
    first(world),
    keyOf,
    (state) => steps(state, protocol, world),
    (state, next, trail) => {
      if (!next.every(([name]) => /evicted|flushed|killed/.test(name))) return;
      if (state.stored?.[1] === -1 && state.stored[0] === state.nonce && state.stored[2] !== state.truth) stuck ??= trail();
      if (state.inside !== 0) barred ??= trail();
    },
  );
  return { ...found, stuck, barred };
}

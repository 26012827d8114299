import {
  ACKNOWLEDGED,
  ASKING,
  COMMITTED,
  CRASHED,
  copy,
  DONE,
  EXPIRED,
  first,
  forgetOldSnapshots,
  IDLE,
  INSIDE,
  JOINED,
  keyOf,
  LEASED,
  LEAVING,
  LEFT,
  LIFE,
  LOADED,
  LOST,
  MISSED,
  mergeNonces,
  NOT_ANSWERED,
  OUTSIDE,
  type Reader,
  type State,
  UNLEASED,
  type Writer,
} from './cache-model-state';
import type { World } from './cache-model-world';
import { type Found, type Step, search } from './cache-search';

/**
 * The protocol on one key as a small state machine, explored over every interleaving. Versions are
 * numbers, so "stale" is "older than the newest version acknowledged when the read began". Time
 * passes in ticks; τ is `tau` of them.
 */
export interface Protocol {
  /** Enter → commit → leave, and the protocols of simpler caches. */
  readonly write:
    | 'enter-leave'
    | 'delete-after'
    | 'delete-before'
    | 'delete-twice'
    | 'write-through'
    | 'tracking';
  /** Fill only while the lease is held; otherwise always fill. */
  readonly lease: boolean;
  /** Writers wait τ before they acknowledge. */
  readonly wait: boolean;
  readonly tau: number;
  /** Age from which a read under way is no longer joined. */
  readonly joinBelow: number;
  /** A writer's entry expires when the writer is gone. */
  readonly entriesExpire: boolean;
  /**
   * When a writer that leaves increments the invalidation counters: after it dropped the Redis
   * entries, before, or not at all.
   */
  readonly increments: 'after' | 'before' | 'never';
  /** An entry's snapshot is taken before its read begins; otherwise when the read ends. */
  readonly snapshotFirst: boolean;
  /** Entries read while a writer was in progress are not renewed. */
  readonly renewableOnly: boolean;
}

export const PROTOCOL: Protocol = {
  write: 'enter-leave',
  lease: true,
  wait: true,
  tau: 2,
  joinBelow: 2,
  entriesExpire: true,
  increments: 'after',
  snapshotFirst: true,
  renewableOnly: true,
};

export interface Verdict extends Found {
  /** The steps to a final state in which a cached entry is not the truth. */
  readonly stuck: readonly string[] | undefined;
  /** The steps after which readers can never fill again. */
  readonly barred: readonly string[] | undefined;
}

/** Every step that can be taken from a state. */
function steps(from: State, protocol: Protocol, world: World): Step<State>[] {
  const found: Step<State>[] = [];
  const take = (name: string, change: (s: State) => boolean | undefined): void => {
    const next = copy(from);
    const stale = change(next) === true;
    if (world.looks !== undefined) forgetOldSnapshots(next, protocol.tau, world.readers);
    mergeNonces(next, protocol.lease);
    found.push([name, next, stale]);
  };
  const shared = (s: State) =>
    s.stored !== null && (!protocol.lease || s.stored[0] === s.nonce) && s.nonce !== 0
      ? s.stored
      : null;

  /** Stores a local entry, unless there is one from a later read. */
  function keep(s: State, index: number, value: number): void {
    const reader = s.readers[index] as Reader;
    const worker = world.readers[index] as number;
    const present = s.local[worker];
    if (reader.age >= protocol.tau || (present != null && present[1] < reader.age)) return;
    const snapshot = protocol.snapshotFirst ? reader.snapshot : (s.tables[worker]?.[0] ?? -1);
    s.local[worker] = [
      value,
      reader.age,
      reader.renewable || !protocol.renewableOnly ? snapshot : -1,
    ];
  }

  /** The local entry that may be served, renewed if need be. */
  function localOf(s: State, worker: number): number | undefined {
    const local = s.local[worker];
    const table = s.tables[worker];
    if (local == null) return undefined;
    const [version, age, snapshot] = local;
    if (age < protocol.tau) return version;
    if (table == null || table[0] !== snapshot || table[1] >= protocol.tau) return undefined;
    s.local[worker] = [version, table[1], snapshot];
    return version;
  }

  /** Ends a read and all reads that joined it. True: one of them gets a stale value. */
  function answer(s: State, index: number, value: number): boolean {
    keep(s, index, value);
    let stale = false;
    for (const [other, one] of s.readers.entries()) {
      if (other !== index && !(one.at === JOINED && one.joins === index)) continue;
      stale ||= value < one.floor;
      Object.assign(one, {
        at: DONE,
        floor: 0,
        age: 0,
        nonce: 0,
        value: 0,
        joins: -1,
        snapshot: -1,
        renewable: false,
      });
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
    reader.renewable = present === null || present[1] === -1;
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
      // Readers of one worker are equivalent until they start: exploring one is enough.
      if (
        from.readers.some(
          (other, i) => i < index && other.at === IDLE && world.readers[i] === worker,
        )
      )
        return;
      take(`${name} starts`, (s) => {
        const me = s.readers[index] as Reader;
        const local = localOf(s, worker);
        if (local !== undefined) {
          me.at = DONE;
          return local < s.acknowledged;
        }
        me.floor = s.acknowledged;
        me.snapshot = s.tables[worker]?.[0] ?? -1;
        const flight = s.readers.findIndex(
          (other, i) =>
            i !== index &&
            world.readers[i] === worker &&
            other.at >= ASKING &&
            other.at <= LOADED &&
            other.age < protocol.joinBelow,
        );
        me.at = flight === -1 ? ASKING : JOINED;
        me.joins = flight;
        return undefined;
      });
    } else if (reader.at === ASKING) {
      take(`${name} asks Redis`, (s) => {
        const present = shared(s);
        const me = s.readers[index] as Reader;
        me.renewable = present !== null && present[1] === -1;
        if (present !== null && present[1] === -1) return answer(s, index, present[2]);
        me.at = present === null ? MISSED : UNLEASED;
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

  const count = (s: State): void => {
    if (s.counter !== LOST && world.looks !== undefined) s.counter += 1;
  };

  function enters(s: State, bit: number): void {
    if (protocol.write === 'enter-leave') {
      drop(s);
      count(s);
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

  /** The steps of leaving. */
  const leaving: readonly ((s: State, bit: number, version: number) => void)[] =
    world.looks === undefined || protocol.increments === 'never'
      ? [leaves]
      : protocol.increments === 'after'
        ? [leaves, count]
        : [count, leaves];

  function writerSteps(writer: Writer, index: number): void {
    const bit = 1 << index;
    const move = (what: string, to: number, change: (s: State, me: Writer) => void): void =>
      take(`writer ${index} ${what}`, (s) => {
        const me = s.writers[index] as Writer;
        me.at = to;
        change(s, me);
        return undefined;
      });
    const leave = ([half, ...rest]: typeof leaving): void =>
      move(
        half === count ? 'increments its counter' : 'leaves',
        rest.length === 0 ? LEFT : LEAVING,
        (s, me) => {
          half?.(s, bit, me.version);
          me.age = 0;
        },
      );
    const next: Record<number, () => void> = {
      [OUTSIDE]() {
        move('enters', INSIDE, (s) => enters(s, bit));
        if (from.left[4] === 0) return;
        move('fails to enter', INSIDE, (s) => {
          s.left[4] -= 1;
        });
      },
      [INSIDE]: () =>
        move('commits', COMMITTED, (s, me) => {
          s.truth += 1;
          me.version = s.truth;
        }),
      [COMMITTED]: () => leave(leaving),
      [LEAVING]: () => leave(leaving.slice(1)),
      [LEFT]() {
        if (protocol.wait && writer.age < protocol.tau) return;
        move('acknowledges', ACKNOWLEDGED, (s, me) => {
          s.acknowledged = Math.max(s.acknowledged, me.version);
          Object.assign(me, { version: 0, age: 0 });
        });
      },
      [CRASHED]() {
        if (!protocol.entriesExpire) return;
        move('has its entry expire', EXPIRED, (s) => {
          s.inside &= ~bit;
        });
      },
    };
    next[writer.at]?.();
  }

  function killSteps(writer: Writer, index: number): void {
    if (
      (writer.at === INSIDE || writer.at === COMMITTED || writer.at === LEAVING) &&
      from.left[2] > 0
    ) {
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
    if (from.left[0] > 0 && from.counter !== LOST && world.looks !== undefined) {
      take('the counters are evicted', (s) => {
        s.left[0] -= 1;
        s.counter = LOST;
        return undefined;
      });
    }
    if (from.left[1] > 0 && (from.nonce !== 0 || from.inside !== 0)) {
      take('Redis is flushed', (s) => {
        Object.assign(s, { nonce: 0, stored: null, inside: 0, counter: LOST });
        s.left[1] -= 1;
        return undefined;
      });
    }
  }

  function lookSteps(worker: number): void {
    const look = from.looks[worker];
    if (look == null && from.left[3] > 0) {
      take(`worker ${worker} begins to read the counters`, (s) => {
        s.left[3] -= 1;
        s.looks[worker] = [NOT_ANSWERED, 0];
        return undefined;
      });
    } else if (look != null && look[0] === NOT_ANSWERED) {
      take(`Redis shows worker ${worker} the counters`, (s) => {
        s.looks[worker] = s.counter === LOST ? null : [s.counter, look[1]];
        if (s.counter !== LOST) return undefined;
        s.counter = s.lives * LIFE;
        s.lives += 1;
        return undefined;
      });
    } else if (look != null) {
      take(`worker ${worker} sees the counters`, (s) => {
        s.tables[worker] = look;
        s.looks[worker] = null;
        return undefined;
      });
    }
  }

  for (const [index, reader] of from.readers.entries()) readerSteps(reader, index);
  for (let worker = 0; worker < world.workers; worker += 1) lookSteps(worker);
  for (const [index, writer] of from.writers.entries()) {
    writerSteps(writer, index);
    killSteps(writer, index);
  }
  for (const [index, [nonce, holder, version]] of from.fills.entries()) {
    take(`the fill of reader ${holder} arrives`, (s) => {
      s.fills.splice(index, 1);
      const held =
        s.stored !== null && s.nonce === nonce && s.stored[0] === nonce && s.stored[1] === holder;
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
      s.local[worker] = null;
      return undefined;
    });
  }
  lossSteps();
  const aging =
    [...from.local, ...from.tables, ...from.looks].some(
      (one) => one !== null && one[1] < protocol.tau,
    ) ||
    from.readers.some((one) => one.at >= ASKING && one.at <= LOADED && one.age < protocol.tau) ||
    from.writers.some((one) => one.at === LEFT && one.age < protocol.tau);
  if (aging && protocol.tau > 0 && Number.isFinite(protocol.tau)) {
    take('time passes', (s) => {
      const older = (age: number): number => Math.min(protocol.tau, age + 1);
      // An expired entry that cannot be renewed is equivalent to no entry.
      s.local = s.local.map((one) =>
        one === null || (one[2] === -1 && one[1] + 1 >= protocol.tau)
          ? null
          : [one[0], older(one[1]), one[2]],
      );
      s.tables = s.tables.map((one) => one && [one[0], older(one[1])]);
      s.looks = s.looks.map((one) => one && [one[0], older(one[1])]);
      for (const one of s.readers)
        if (one.at >= ASKING && one.at <= LOADED) one.age = older(one.age);
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
    first(world, protocol.tau),
    keyOf,
    (state) => steps(state, protocol, world),
    (state, next, trail) => {
      if (!next.every(([name]) => /evicted|flushed|killed|counters/.test(name))) return;
      if (
        state.local.some(
          (local) => local !== null && local[2] === state.counter && local[0] !== state.truth,
        )
      )
        stuck ??= trail();
      if (
        state.stored?.[1] === -1 &&
        state.stored[0] === state.nonce &&
        state.stored[2] !== state.truth
      )
        stuck ??= trail();
      if (state.inside !== 0) barred ??= trail();
    },
  );
  return { ...found, stuck, barred };
}

import { type Found, type Step, search } from './cache-search';

/**
 * A model of the epoch store only. Worker A reads through Redis. Worker C writes without Redis.
 * Worker D writes with Redis. Any worker ends a silent suspension. Each epoch has its own keys.
 * Leases are valid for `valid` ticks from the start of a read of the epoch store.
 */
export interface EpochRules {
  readonly valid: number;
  readonly lapse: number;
  /** C waits `valid` before it acknowledges. */
  readonly wait: boolean;
  /** C suspends again after its commit. */
  readonly again: boolean;
  /** A resumption starts new keys. */
  readonly newEpoch: boolean;
}

export const EPOCH_RULES: EpochRules = {
  valid: 2,
  lapse: 3,
  wait: true,
  again: true,
  newEpoch: true,
};

interface State {
  epoch: number;
  suspended: boolean;
  silence: number;
  truth: number;
  acknowledged: number;
  /**
   * Per epoch: version of the Redis entry, -1 for none; and of the fill under way, -1 for none (its
   * lease lives as long).
   */
  copies: number[];
  fills: number[];
  /** Per worker A, D: [epoch or -1, age]; and the look under way. */
  leases: [number, number][];
  looks: ([number, number] | null)[];
  /** A's read: the version acknowledged when it began, and its epoch; null: none under way. */
  read: { floor: number; epoch: number } | null;
  reads: number;
  cut: { at: number; writes: number; version: number; knows: number; since: number };
  told: {
    at: number;
    writes: number;
    version: number;
    epoch: number;
    knows: number;
    since: number;
  };
}

const A = 0;
const D = 1;
const EPOCHS = 2;

function first(reads: number, cutWrites: number, toldWrites: number): State {
  return {
    epoch: 0,
    suspended: false,
    silence: 0,
    truth: 0,
    acknowledged: 0,
    copies: Array(EPOCHS).fill(-1),
    fills: Array(EPOCHS).fill(-1),
    leases: [
      [-1, 0],
      [-1, 0],
    ],
    looks: [null, null],
    read: null,
    reads,
    cut: { at: 0, writes: cutWrites, version: 0, knows: -1, since: 0 },
    told: { at: 0, writes: toldWrites, version: 0, epoch: -1, knows: -1, since: 0 },
  };
}

const keyOf = ({ read, cut, told, ...s }: State): string =>
  `${s.epoch}${+s.suspended}${s.silence},${s.truth},${s.acknowledged},${s.copies},${s.fills},${s.leases},${s.looks.join('|')},${
    read === null ? '' : `${read.floor}.${read.epoch}`
  },${s.reads},${cut.at}.${cut.writes}.${cut.version}.${cut.knows}.${cut.since},${told.at}.${told.writes}.${told.version}.${told.epoch}.${told.knows}.${told.since}`;

function steps(from: State, rules: EpochRules): Step<State>[] {
  const found: Step<State>[] = [];
  const take = (name: string, change: (s: State) => boolean | undefined): void => {
    const next = copied(from);
    const stale = change(next) === true;
    found.push([name, next, stale]);
  };
  const valid = (worker: number): number => {
    const [epoch, age] = from.leases[worker] as [number, number];
    return age < rules.valid ? epoch : -1;
  };
  const suspend = (s: State): void => {
    s.suspended = true;
    s.silence = 0;
    if (s.cut.knows !== s.epoch) Object.assign(s.cut, { knows: s.epoch, since: 0 });
  };

  for (const worker of [A, D]) {
    // D reads only while it has writes left: its state affects no other worker.
    if (worker === D && from.told.writes === 0) continue;
    if (worker === D) {
      take('D reads the epoch store', (s) => {
        s.leases[D] = [s.suspended ? -1 : s.epoch, 0];
        return undefined;
      });
    } else if (from.looks[worker] === null) {
      take(`worker ${worker} reads the epoch store`, (s) => {
        s.looks[worker] = [s.suspended ? -1 : s.epoch, 0];
        return undefined;
      });
    } else {
      take(`worker ${worker} takes the answer of the epoch store`, (s) => {
        s.leases[worker] = s.looks[worker] as [number, number];
        s.looks[worker] = null;
        return undefined;
      });
    }
  }
  if (from.suspended && from.silence >= rules.lapse && from.epoch + 1 < EPOCHS) {
    take('the suspension lapses', (s) => {
      s.suspended = false;
      if (rules.newEpoch) s.epoch += 1;
      return undefined;
    });
  }

  readSteps();
  cutSteps();
  toldSteps();
  suspendedSteps();
  if (
    from.silence < rules.lapse ||
    from.leases.some(([, age]) => age < rules.valid) ||
    from.cut.since < rules.valid ||
    from.told.since < rules.valid
  ) {
    take('time passes', (s) => {
      const older = (age: number, cap: number): number => Math.min(cap, age + 1);
      s.silence = older(s.silence, rules.lapse);
      s.leases = s.leases.map(([epoch, age]) =>
        age + 1 >= rules.valid ? [-1, rules.valid] : [epoch, age + 1],
      );
      s.looks = s.looks.map((look) => look && [look[0], older(look[1], rules.valid)]);
      s.cut.since = older(s.cut.since, rules.valid);
      s.told.since = older(s.told.since, rules.valid);
      return undefined;
    });
  }
  return found;

  function readSteps(): void {
    const epoch = valid(A);
    if (from.read === null && from.reads > 0 && epoch !== -1) {
      take('A begins to read', (s) => {
        s.reads -= 1;
        const value = s.copies[epoch] as number;
        if (value !== -1) return value < s.acknowledged;
        if (s.fills[epoch] === -1) s.read = { floor: s.acknowledged, epoch };
        return undefined;
      });
    }
    if (from.read !== null) {
      take('A reads the database and sends its fill', (s) => {
        const { floor, epoch: filled } = s.read as { floor: number; epoch: number };
        s.fills[filled] = s.truth;
        s.read = null;
        return s.truth < floor;
      });
    }
    for (const [filled, version] of from.fills.entries()) {
      if (version === -1) continue;
      take(`the fill of epoch ${filled} arrives`, (s) => {
        s.copies[filled] = version;
        s.fills[filled] = -1;
        return undefined;
      });
    }
  }

  function cutSteps(): void {
    const { at, writes } = from.cut;
    if (at === 0 && writes > 0) {
      take('C suspends', (s) => {
        suspend(s);
        s.cut.at = 1;
        return undefined;
      });
    } else if (at === 1) {
      take('C commits', (s) => {
        s.truth += 1;
        s.cut.version = s.truth;
        s.cut.at = rules.again ? 2 : 3;
        return undefined;
      });
    } else if (at === 2) {
      take('C suspends again', (s) => {
        suspend(s);
        s.cut.at = 3;
        return undefined;
      });
    } else if (at === 3 && (!rules.wait || from.cut.since >= rules.valid)) {
      take('C acknowledges', (s) => {
        s.acknowledged = Math.max(s.acknowledged, s.cut.version);
        Object.assign(s.cut, { at: 0, version: 0, writes: writes - 1 });
        return undefined;
      });
    }
  }

  function suspendedSteps(): void {
    const { at, writes } = from.told;
    if (at === 1 && from.suspended) {
      // A read that began after the commit: it sends no beat, which would prolong the suspension.
      take('D sees the suspension', (s) => {
        if (s.told.knows !== s.epoch) Object.assign(s.told, { knows: s.epoch, since: 0 });
        s.told.at = 3;
        return undefined;
      });
    } else if (at === 3 && (!rules.wait || from.told.since >= rules.valid)) {
      take('D acknowledges under suspension', (s) => {
        s.acknowledged = Math.max(s.acknowledged, s.told.version);
        Object.assign(s.told, { at: 0, version: 0, epoch: -1, writes: writes - 1 });
        return undefined;
      });
    }
  }

  function toldSteps(): void {
    const { at, writes, epoch } = from.told;
    if (at === 0 && writes > 0) {
      take('D commits', (s) => {
        s.truth += 1;
        Object.assign(s.told, { at: 1, version: s.truth });
        return undefined;
      });
    } else if (at === 1 && valid(D) !== -1) {
      take('D leaves', (s) => {
        const now = valid(D);
        s.copies[now] = -1;
        s.fills[now] = -1;
        if (s.read?.epoch === now) s.read = null;
        Object.assign(s.told, { at: 2, epoch: now });
        return undefined;
      });
    } else if (at === 2 && valid(D) === epoch) {
      take('D acknowledges', (s) => {
        s.acknowledged = Math.max(s.acknowledged, s.told.version);
        Object.assign(s.told, { at: 0, version: 0, epoch: -1, writes: writes - 1 });
        return undefined;
      });
    }
  }
}

function copied(s: State): State {
  return {
    ...s,
    copies: [...s.copies],
    fills: [...s.fills],
    leases: s.leases.map(([epoch, age]) => [epoch, age]),
    looks: s.looks.map((look) => look && [look[0], look[1]]),
    read: s.read && { ...s.read },
    cut: { ...s.cut },
    told: { ...s.told },
  };
}

export function exploreEpochs(
  rules: EpochRules,
  counts: { reads: number; cutWrites: number; toldWrites: number },
): Found {
  return search(first(counts.reads, counts.cutWrites, counts.toldWrites), keyOf, (s) =>
    steps(s, rules),
  );
}

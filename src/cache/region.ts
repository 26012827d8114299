import type { Counts } from './counts';
import { createNearCopies } from './near';
import type { Region, RegionSpec } from './port';
import type { Found, Lease, Place, SharedCopies } from './shared';
import type { Stamps } from './stamps';

export interface RegionDeps {
  readonly now: () => number;
  readonly nearTtlMs: number;
  readonly nearMaxEntries: number;
  /** Age up to which a read under way is joined. */
  readonly joinMs: number;
  readonly counts: Counts;
  readonly shared: SharedCopies | undefined;
  readonly stamps: Stamps | undefined;
  /** The generation of keys that may be used now; undefined: no shared copies at present. */
  generation(): string | undefined;
  ttlMs(negative: boolean): number;
}

interface Flight<T> {
  readonly began: number;
  readonly result: Promise<T | null>;
}

/** What a read finds out on its way. */
interface Circumstances {
  /** No writer of the group was in: only then may stamps alone renew what was read. */
  settled: boolean;
}

export interface CountedRegion<T> extends Region<T> {
  readonly nearSize: number;
}

export function createRegion<T>(spec: RegionSpec<T>, deps: RegionDeps): CountedRegion<T> {
  const { now, nearTtlMs, counts, shared, stamps } = deps;
  const near = createNearCopies<T>({
    ttlMs: nearTtlMs,
    maxEntries: deps.nearMaxEntries,
    stamps,
    onRenewal() {
      counts.nearRenewals += 1;
    },
  });
  const flights = new Map<string, Flight<T>>();

  /** Most values have not changed since they were read last; comparing is a tenth of decoding, and makes no garbage. */
  function decoded(key: string, bytes: Buffer): T | undefined {
    const known = near.decoded(key);
    if (known?.bytes.equals(bytes) === true) return known.value;
    try {
      // What is kept must be its own: these bytes are a part of all that Redis said at a time.
      if (!near.has(key)) return spec.decode(bytes);
      const own = Buffer.from(bytes);
      const value = spec.decode(own);
      near.keep(key, { bytes: own, value });
      return value;
    } catch {
      counts.undecodable += 1;
      return undefined;
    }
  }

  /** Nobody waits for a fill, and nothing that goes wrong in it is the reader's concern: it has its value. */
  function fill(copies: SharedCopies, lease: Lease, place: Place, value: T | null): void {
    const filled = async () => copies.fill(lease, place, value === null ? null : spec.encode(value), deps.ttlMs(value === null));
    filled().then(
      (wanted) => {
        counts[wanted ? 'fills' : 'fillsRefused'] += 1;
      },
      () => {
        counts.redisErrors += 1;
      },
    );
  }

  function load(key: string): Promise<T | null> {
    counts.misses += 1;
    return spec.load(key);
  }

  /** The slow way: nothing usable was found, so the database is read, with the right to fill if it can be had. */
  async function loadAndFill(
    copies: SharedCopies,
    generation: string,
    place: Place,
    key: string,
    circumstances: Circumstances,
  ): Promise<T | null> {
    const found = await copies.lease(generation, place).catch(() => undefined);
    if (found === undefined) {
      counts.redisErrors += 1;
      return load(key);
    }
    if (found.kind !== 'lease') return use(found, key, circumstances);
    counts.leasesTaken += 1;
    circumstances.settled = true;
    const value = await load(key);
    fill(copies, found.lease, place, value);
    return value;
  }

  /** What Redis has, or else the database. */
  function use(found: Found, key: string, circumstances: Circumstances): T | null | Promise<T | null> {
    const value = found.kind === 'none' ? null : found.kind === 'value' ? decoded(key, found.bytes) : undefined;
    if (value !== undefined) {
      counts.sharedHits += 1;
      circumstances.settled = true;
      return value;
    }
    if (found.kind === 'busy') counts.leasesLost += 1;
    return load(key);
  }

  function readThrough(key: string, circumstances: Circumstances): Promise<T | null> {
    const generation = deps.generation();
    if (shared === undefined || generation === undefined) return load(key);
    const place = { group: spec.group(key), field: `${spec.name}:${key}` };
    return shared.read(generation, place).then(
      (found) => (found.kind === 'absent' ? loadAndFill(shared, generation, place, key, circumstances) : use(found, key, circumstances)),
      () => {
        counts.redisErrors += 1;
        return load(key);
      },
    );
  }

  function start(key: string, began: number): Promise<T | null> {
    const circumstances: Circumstances = { settled: false };
    if (nearTtlMs === 0) return readThrough(key, circumstances);
    // Taken before the read: whoever writes after it is noticed.
    const mark = stamps?.mark(spec.group(key));
    const result = readThrough(key, circumstances);
    const flight = { began, result };
    flights.set(key, flight);
    const land = (): void => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    result.then((value) => {
      land();
      near.put(key, value, began, circumstances.settled ? mark : undefined);
    }, land);
    return result;
  }

  return {
    get nearSize() {
      return near.size;
    },
    peek(key) {
      const value = near.peek(key, now());
      if (value !== undefined) counts.nearHits += 1;
      return value;
    },
    get(key) {
      const at = now();
      const value = near.peek(key, at);
      if (value !== undefined) {
        counts.nearHits += 1;
        return Promise.resolve(value);
      }
      const flight = flights.get(key);
      if (flight !== undefined && at - flight.began < deps.joinMs) {
        counts.coalesced += 1;
        return flight.result;
      }
      return start(key, at);
    },
  };
}

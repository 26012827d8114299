import { type Config, parseConfig } from '../../src/kernel/config/config';
import type {
  EpochState,
  EpochStore,
  Member,
  MemberSettings,
} from '../../src/platform/cache/epoch-store';
import { createLogger } from '../../src/platform/telemetry/logger';

/** Valid cache settings for tests. */
export function cacheSettings(environment: Record<string, string> = {}): Config['cache'] {
  return parseConfig({ NODE_ENV: 'test', ...environment }).cache;
}

export const quiet = createLogger({ level: 'silent' });

export interface Doc {
  readonly version: number;
}

/** A typed cache of numbered documents over any loader. */
export function docCache(load: (key: string) => Promise<Doc | null>) {
  return {
    name: 'doc.v1',
    group: (key: string) => `doc:${key}`,
    load,
    encode: (doc: Doc) => Buffer.from(String(doc.version)),
    decode(bytes: Buffer): Doc {
      const version = Number(bytes.toString('latin1'));
      if (!Number.isSafeInteger(version)) throw new Error('not a version');
      return { version };
    },
  };
}

export interface MemoryEpochStore extends EpochStore {
  /** Makes every operation fail. */
  down: boolean;
  /** Makes every operation fail after a second. */
  hangs: boolean;
  readonly states: Map<string, EpochState>;
  readonly members: Map<string, Member>;
}

/**
 * An in-memory epoch store for the processes of one test. `settled`: every writer knows the members
 * from the start.
 */
export function memoryEpochStore({ settled = true } = {}): MemoryEpochStore {
  const states = new Map<string, EpochState>();
  const members = new Map<string, Member>();
  const epochStore = { down: false, hangs: false };

  async function reach(): Promise<void> {
    if (epochStore.hangs) await new Promise((resolve) => setTimeout(resolve, 1000));
    if (epochStore.down || epochStore.hangs) throw new Error('the epoch store is down');
  }
  const is = (member: Member): boolean => members.get(member.name)?.id === member.id;

  return Object.assign(epochStore, {
    states,
    members,
    async read() {
      await reach();
      return { states: new Map(states), members: [...members.values()] };
    },
    async create(name: string, first: EpochState) {
      await reach();
      if (!states.has(name)) states.set(name, first);
    },
    async suspend(name: string) {
      await reach();
      const before = states.get(name) ?? { epoch: 1, suspended: false, beat: 0, dataset: '' };
      const after = { ...before, suspended: true, beat: before.beat + 1 };
      states.set(name, after);
      return after;
    },
    async resume(name: string, seen: EpochState, dataset: string) {
      await reach();
      const state = states.get(name);
      if (state?.suspended !== true || state.epoch !== seen.epoch || state.beat !== seen.beat)
        return;
      states.set(name, { epoch: state.epoch + 1, suspended: false, beat: state.beat, dataset });
    },
    async join(settings: MemberSettings) {
      await reach();
      const name = `${settings.nearTtlMs} ms, ${settings.cache}`;
      const before = members.get(name);
      const member = before
        ? { ...before, beat: before.beat + 1 }
        : { ...settings, name, id: `m${members.size}.${performance.now()}`, beat: 1, settled };
      members.set(name, member);
      return member;
    },
    async settle(member: Member) {
      await reach();
      if (is(member)) members.set(member.name, { ...member, settled: true });
      return is(member);
    },
    async remove(member: Member) {
      await reach();
      if (is(member) && members.get(member.name)?.beat === member.beat) members.delete(member.name);
    },
  });
}

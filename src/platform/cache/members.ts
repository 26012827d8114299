import { jittered } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import type { EntryLifetime } from './entry-lifetime';
import type { EpochStore, Member, MemberSettings } from './epoch-store';

/**
 * The other processes on this database: how long writers must wait for their local entries, and
 * whether all of them share one cache.
 */
export interface CacheMembers {
  /** Of this process's local entries. */
  readonly lifetime: EntryLifetime;
  /** Takes the members that a read of the epoch store, begun at `began`, has returned. */
  observe(members: readonly Member[], began: number): void;
  /**
   * Registers this process, keeps it registered, and removes members that are gone. Rejects when
   * MongoDB cannot be reached.
   */
  maintain(): Promise<void>;
  /**
   * Whether the last read has returned this process: then all others know of it, or read again
   * before they rely on anything.
   */
  readonly isRegistered: boolean;
  greatestTtlMs(): number;
  /** Caches that other processes use and this one does not. */
  foreign(): readonly string[];
}

export interface CacheMembersOptions {
  readonly epochStore: Pick<EpochStore, 'join' | 'settle' | 'remove'>;
  readonly settings: MemberSettings;
  /** A tool is not registered: it keeps no local entries. */
  readonly isTool: boolean;
  /** This long after it was registered every writer knows of a member (VALID_MS). */
  readonly validMs: number;
  readonly log: Logger;
  readonly now: () => number;
}

/** Any process of a member sends the next heartbeat once there was none for this long. */
const HEARTBEAT_MS = 4000;
/**
 * A process relies on its registration for TRUST_MS after a heartbeat, and removes another member
 * after REMOVE_MS without one, which is longer.
 */
const TRUST_MS = 12_000;
const REMOVE_MS = 16_000;

interface Heartbeat {
  readonly id: string;
  readonly beat: number;
  /** When this process first knew of that beat. */
  readonly since: number;
}

export function createCacheMembers(options: CacheMembersOptions): CacheMembers {
  const { settings, isTool, now } = options;
  const heartbeats = new Map<string, Heartbeat>();
  const registration = createRegistration(options, heartbeats);
  let members: readonly Member[] = [];

  async function removeSilent(): Promise<void> {
    for (const member of members) {
      const last = heartbeats.get(member.name);
      if (last === undefined || last.id !== member.id || now() - last.since < REMOVE_MS) continue;
      options.log.info({ member: member.name }, 'cache member removed, no heartbeat');
      await options.epochStore.remove({ ...member, beat: last.beat });
    }
  }

  return {
    lifetime: registration.lifetime,
    observe(found, began) {
      for (const member of found) registration.noteHeartbeat(member);
      for (const name of heartbeats.keys())
        if (!found.some((member) => member.name === name)) heartbeats.delete(name);
      registration.observe(found, began);
      members = found;
    },
    async maintain() {
      if (isTool) return;
      await registration.maintain();
      await removeSilent();
    },
    get isRegistered() {
      return registration.isAmong(members);
    },
    greatestTtlMs: () =>
      members.reduce(
        (greatest, { nearTtlMs }) => Math.max(greatest, nearTtlMs),
        isTool ? 0 : settings.nearTtlMs,
      ),
    foreign: () => [
      ...new Set(members.map(({ cache }) => cache).filter((cache) => cache !== settings.cache)),
    ],
  };
}

/** This process's own registration, and the lifetime that it gives to local entries. */
function createRegistration(
  { epochStore, settings, validMs, now }: CacheMembersOptions,
  heartbeats: Map<string, Heartbeat>,
) {
  const lifetime = { ttlMs: 0, since: 0, until: 0 };
  let own: Member | undefined;
  let registeredAt = 0;
  let lastReadAt = 0;
  let active = false;

  function trustFrom(at: number): void {
    lifetime.until = Math.max(lifetime.until, at + TRUST_MS);
  }

  /** No entry is kept any more; those that exist expire with the trust there was. */
  function deactivate(): void {
    active = false;
    Object.assign(lifetime, { ttlMs: 0, until: 0 });
  }

  /** Only once all writers know of this member, and only for values read from now on. */
  function activate(): void {
    active = true;
    Object.assign(lifetime, { ttlMs: settings.nearTtlMs, since: now() });
  }

  async function sendHeartbeat(): Promise<void> {
    const began = now();
    const member = await epochStore.join(settings);
    if (own?.id !== member.id) {
      deactivate();
      registeredAt = now();
    }
    own = member;
    trustFrom(began);
    heartbeats.set(member.name, { id: member.id, beat: member.beat, since: now() });
    if (member.settled && !active) activate();
  }

  async function settle(member: Member): Promise<void> {
    if (!(await epochStore.settle(member))) own = undefined;
    else if (now() < lifetime.until) activate();
  }

  return {
    lifetime,
    isAmong: (members: readonly Member[]): boolean =>
      own !== undefined && members.some(({ id }) => id === own?.id),
    noteHeartbeat({ name, id, beat }: Member): void {
      const before = heartbeats.get(name);
      if (before?.id === id && before.beat === beat) return;
      // Any process that could remove it has seen this beat after the previous read at the
      // earliest.
      if (own?.id === id && before?.id === id) trustFrom(lastReadAt);
      heartbeats.set(name, { id, beat, since: now() });
    },
    observe(found: readonly Member[], began: number): void {
      if (own !== undefined && began > registeredAt && !found.some(({ id }) => id === own?.id)) {
        own = undefined;
        deactivate();
      }
      lastReadAt = began;
    },
    async maintain(): Promise<void> {
      const since = own && heartbeats.get(own.name)?.since;
      const everyMs = jittered(HEARTBEAT_MS, 0.2);
      if (own === undefined || since === undefined || now() - since > everyMs)
        await sendHeartbeat();
      else if (!active && now() - registeredAt > validMs) await settle(own);
    },
  };
}

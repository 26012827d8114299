import { ALL_PERMISSIONS } from '../../src/kernel/permissions';
import type { UserHost } from './user-host';

/** Records of writers and readers of users, on one clock, and the check of ADR 11's guarantees. */
export interface WriteHistory {
  readonly writes: readonly Written[];
  readonly reads: readonly Seen[];
}

interface Written {
  readonly id: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** From the response; undefined: the write was refused, or its outcome is unknown. */
  readonly rev: number | undefined;
}

interface Seen {
  readonly id: string;
  readonly start: number;
  readonly rev: number;
  readonly name: string;
  /** Read directly from the database. */
  readonly stored: boolean;
}

export interface WriteHistoryOptions {
  readonly ids: readonly string[];
  readonly durationMs: number;
  /** Average pause between two writes of a host's writer. */
  readonly writePauseMs: number;
  /** Writes for this long, then pauses equally long; 0: no pauses. */
  readonly burstMs: number;
}

const now = () => performance.now();
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const oneOf = (ids: readonly string[]) => ids[Math.floor(Math.random() * ids.length)] ?? '';
const admin = { userId: '0'.repeat(24), permissions: ALL_PERMISSIONS };
const revOf = (etag: string) => Number(/^"[0-9a-f]{24}\.(\d+)\./.exec(etag)?.[1]);

/** One writer and two readers of one host. Every written name is unique. */
export async function recordWrites(
  host: UserHost,
  who: string,
  options: WriteHistoryOptions,
): Promise<WriteHistory> {
  const { ids, durationMs, writePauseMs, burstMs } = options;
  const until = now() + durationMs;
  const writes: Written[] = [];

  async function write(): Promise<void> {
    for (let n = 0; now() < until; n += 1) {
      if (burstMs > 0 && Math.floor(now() / burstMs) % 2 === 1)
        await pause(burstMs - (now() % burstMs));
      writes.push(await recordWrite(host, `${who} ${n}`, oneOf(ids)));
      await pause(Math.random() * 2 * writePauseMs);
    }
  }
  const [reads] = await Promise.all([recordReads(host, ids, durationMs), write()]);
  return { writes, reads };
}

export async function recordWrite(host: UserHost, name: string, id: string): Promise<Written> {
  const start = now();
  const rev = await host.users.change(admin, id, { name }, undefined).then(
    ({ etag }) => revOf(etag),
    () => undefined,
  );
  return { id, name, start, end: now(), rev };
}

/** One reader of the database and one of the cache. */
export async function recordReads(
  host: UserHost,
  ids: readonly string[],
  durationMs: number,
): Promise<Seen[]> {
  const until = now() + durationMs;
  const reads: Seen[] = [];
  async function read(stored: boolean): Promise<void> {
    while (now() < until) {
      const [id, start] = [oneOf(ids), now()];
      const seen = await (stored ? host.repository.find(id) : cachedView(host, id)).catch(
        () => null,
      );
      if (seen !== null) reads.push({ id, start, rev: seen.rev, name: seen.name, stored });
      await pause(1);
    }
  }
  await Promise.all([read(true), read(false)]);
  return reads;
}

async function cachedView(host: UserHost, id: string): Promise<{ rev: number; name: string }> {
  const { etag, body } = await host.users.get(id);
  return { rev: revOf(etag), name: (JSON.parse(body.toString('utf8')) as { name: string }).name };
}

export interface CheckedWrites {
  readonly acknowledged: number;
  readonly failed: number;
  readonly reads: number;
  /** Reads that are older than a write that was acknowledged before they began. */
  readonly stale: number;
  /** Writes that took effect after their caller had received a failure. */
  readonly late: number;
  /** Revisions that two writes got, or that have another name than that of their write. */
  readonly lost: number;
}

export function checkWrites(histories: readonly WriteHistory[]): CheckedWrites {
  const writes = histories.flatMap((one) => one.writes);
  const reads = histories.flatMap((one) => one.reads);
  const sums = { stale: 0, late: 0, lost: 0 };
  for (const id of new Set(writes.map((one) => one.id))) {
    const faults = checkUser(
      writes.filter((one) => one.id === id),
      reads.filter((one) => one.id === id),
    );
    sums.stale += faults.stale;
    sums.late += faults.late;
    sums.lost += faults.lost;
  }
  const acknowledged = writes.filter(({ rev }) => rev !== undefined).length;
  return { acknowledged, failed: writes.length - acknowledged, reads: reads.length, ...sums };
}

type Acknowledged = Written & { readonly rev: number };

function checkUser(writes: readonly Written[], reads: readonly Seen[]) {
  const acknowledged = writes.filter((one): one is Acknowledged => one.rev !== undefined);
  const nameAt = new Map(acknowledged.map(({ rev, name }) => [rev, name]));
  const revOfName = new Map(reads.map(({ name, rev }) => [name, rev]));
  const isLate = ({ name, end, rev }: Written): boolean => {
    const tookEffect = rev === undefined ? revOfName.get(name) : undefined;
    if (tookEffect === undefined) return false;
    const sawOlder = ({ start, stored, ...seen }: Seen) =>
      stored && start > end && seen.rev < tookEffect;
    return (
      acknowledged.some((one) => one.start > end && one.rev < tookEffect) || reads.some(sawOlder)
    );
  };
  return {
    stale: reads.filter((read) =>
      acknowledged.some(({ end, rev }) => end < read.start && rev > read.rev),
    ).length,
    late: writes.filter(isLate).length,
    lost:
      acknowledged.length -
      nameAt.size +
      reads.filter(({ rev, name }) => (nameAt.get(rev) ?? name) !== name).length,
  };
}

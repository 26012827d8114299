import { type Load, startLoad } from '../load';
import { pause } from '../process-kit';
import { type Summary, summarise } from '../summary';
import { bearer, type Mirror } from './mirrors';

export interface Findings {
  readonly reads: Summary;
  readonly writes: number;
  readonly writesFailed: number;
  readonly slowestWriteMs: number;
  /** Reads that showed a name older than one acknowledged before the read was planned. */
  readonly stale: number;
  /** Acknowledged writes that are not there at the end. */
  readonly lost: number;
}

export interface Traffic {
  /** Rejects, without findings, when the run was ended. */
  stop(signal: AbortSignal): Promise<Findings>;
}

const ANSWER_MS = 10_000;
const numberIn = (name: unknown) => Number(/^w(\d+)$/.exec(String(name))?.[1] ?? Number.NaN);

/** Reads at a fixed rate, and one writer per user. */
export function startTraffic(
  target: string,
  mirrors: readonly Mirror[],
  ratePerSecond: number,
): Traffic {
  let [stale, isOver] = [0, false];
  const tally = { writes: 0, writesFailed: 0, slowestWriteMs: 0 };
  const planned: { readonly mirror: Mirror; readonly floor: number }[] = [];

  const load: Load = startLoad({
    // A read without an answer is sent once more, as clients and balancers do.
    targets: [target, target],
    failover: true,
    ratePerSecond,
    timeoutMs: ANSWER_MS,
    request(n) {
      const mirror = mirrors[n % mirrors.length] as Mirror;
      planned[n] = { mirror, floor: mirror.acknowledged };
      return { method: 'GET', path: '/api/users/me', headers: bearer(mirror), tag: 'read' };
    },
    onAnswer({ n, status }, body) {
      const floor = planned[n]?.floor ?? 0;
      if (status === 200 && !(numberIn(nameIn(body)) >= floor)) stale += 1;
    },
  });

  async function write(mirror: Mirror): Promise<void> {
    mirror.sent += 1;
    const { sent } = mirror;
    const from = performance.now();
    tally.writes += 1;
    const isDone = await fetch(`${target}/api/users/me`, {
      method: 'PATCH',
      headers: { ...bearer(mirror), 'content-type': 'application/json' },
      body: JSON.stringify({ name: `w${sent}` }),
      signal: AbortSignal.timeout(ANSWER_MS),
    }).then(
      async (answer) => {
        await answer.arrayBuffer();
        return answer.status === 200;
      },
      () => false,
    );
    if (isDone) mirror.acknowledged = sent;
    else tally.writesFailed += 1;
    tally.slowestWriteMs = Math.max(tally.slowestWriteMs, Math.round(performance.now() - from));
  }

  const writers = mirrors.map(async (mirror) => {
    while (!isOver) {
      await write(mirror);
      await pause(100);
    }
  });

  return {
    async stop(signal) {
      isOver = true;
      await Promise.all(writers);
      const records = await load.stop();
      signal.throwIfAborted();
      const lost = await lostOf(target, mirrors);
      return { reads: summarise(records), ...tally, stale, lost };
    },
  };
}

function nameIn(body: string): unknown {
  try {
    return (JSON.parse(body) as { name?: unknown }).name;
  } catch {
    return undefined;
  }
}

/** Users whose name is older than the last acknowledged one. One that cannot be read counts. */
async function lostOf(target: string, mirrors: readonly Mirror[]): Promise<number> {
  let lost = 0;
  for (const mirror of mirrors)
    if (!((await storedNumber(target, mirror)) >= mirror.acknowledged)) lost += 1;
  return lost;
}

async function storedNumber(target: string, mirror: Mirror): Promise<number> {
  const until = performance.now() + ANSWER_MS;
  while (performance.now() < until) {
    const answer = await fetch(`${target}/api/users/me`, {
      headers: bearer(mirror),
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch(() => undefined);
    const body = await answer?.text().catch(() => undefined);
    if (answer?.status === 200 && body !== undefined) return numberIn(nameIn(body));
    await pause(100);
  }
  return Number.NaN;
}

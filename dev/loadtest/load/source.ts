import { readFileSync, writeFileSync } from 'node:fs';
import { encode, type Stripe } from '../../../bench/load/traffic';
import { seededRandom } from '../../../bench/stats';
import type { KindName, KindTraffic } from '../scenarios';
import { createQueue, type Queue } from './queue';

/** One request, ready to send. */
export interface Outgoing {
  readonly kind: KindName;
  readonly bytes: Buffer;
  /** Gets the answer. `status` is undefined when there was none. */
  answered?(status: number | undefined, body: string): void;
}

export type Source = () => Outgoing;

/**
 * Multiples of it fill the unit interval evenly at every length (Weyl's additive recurrence), so a
 * rare kind is sent as often as its weight says even in a short run. Random numbers would not do
 * that: of two expected logins there may be none or five, and each costs as much as a thousand
 * reads.
 */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

export const saveKinds = (file: string, kinds: readonly KindTraffic[]): void =>
  writeFileSync(file, JSON.stringify(kinds), { mode: 0o600 });

/** The requests of load process `index` of `count`. Fixed ones are built before the load starts. */
export function createSource(file: string, host: string, stripe: Stripe): Source {
  const kinds = JSON.parse(readFileSync(file, 'utf8')) as readonly KindTraffic[];
  const random = seededRandom(1 + stripe.index);
  const mine = <T>(all: readonly T[]): readonly T[] =>
    all.length < stripe.count ? all : all.filter((_, i) => i % stripe.count === stripe.index);
  const sources = kinds.map((kind) => ({
    weight: kind.weight,
    next:
      kind.refreshTokens === undefined
        ? fixed(kind, host, mine, random)
        : refreshes(mine(kind.refreshTokens), host),
  }));
  const total = sources.reduce((sum, { weight }) => sum + weight, 0);
  let point = random();
  return () => {
    point = (point + GOLDEN_RATIO) % 1;
    let rest = point * total;
    for (const { weight, next } of sources) {
      rest -= weight;
      if (rest < 0) return next();
    }
    return (sources.at(-1) as (typeof sources)[number]).next();
  };
}

function fixed(
  { name, requests }: KindTraffic,
  host: string,
  mine: <T>(all: readonly T[]) => readonly T[],
  random: () => number,
): Source {
  const outgoing = mine(requests).map((request) => ({ kind: name, bytes: encode(request, host) }));
  return () => outgoing[Math.floor(random() * outgoing.length)] as Outgoing;
}

/**
 * The tokens that are still good, by the first one given: a next measurement goes on with them.
 * Those whose answer the end of a measurement cut off are not used again.
 */
const pools = new Map<string, Queue<string>>();

/**
 * Each session refreshes with the token of its last answer. A token whose answer did not come is
 * sent again, as clients do: the service repeats the answer within its grace window.
 */
function refreshes(tokens: readonly string[], host: string): Source {
  const first = tokens[0] as string;
  const ready = pools.get(first) ?? createQueue(tokens);
  pools.set(first, ready);
  let newest = first;
  return () => {
    // More requests at once than sessions: two of them use one token, within the grace window.
    const token = ready.take() ?? newest;
    return {
      kind: 'refresh',
      bytes: encode(
        { method: 'POST', path: '/api/auth/refresh', body: { refresh_token: token } },
        host,
      ),
      answered(status, body) {
        if (status === 401) return;
        newest = (status === 200 && /"refresh_token":"([^"]+)"/.exec(body)?.[1]) || token;
        ready.put(newest);
      },
    };
  };
}

import { readFileSync, writeFileSync } from 'node:fs';
import { seededRandom } from '../stats';

export interface RequestShape {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** The requests to send: kinds with their shares, and the order within one kind. */
export interface Traffic {
  readonly kinds: readonly {
    readonly weight: number;
    readonly requests: readonly RequestShape[];
  }[];
  /**
   * `random` picks with equal chance, with repeats; `once` goes through the list in order and then
   * starts over.
   */
  readonly order: 'random' | 'once';
}

export const one = (request: RequestShape): Traffic => ({
  kinds: [{ weight: 1, requests: [request] }],
  order: 'once',
});
export const anyOf = (requests: readonly RequestShape[]): Traffic => ({
  kinds: [{ weight: 1, requests }],
  order: 'random',
});
export const eachOf = (requests: readonly RequestShape[]): Traffic => ({
  kinds: [{ weight: 1, requests }],
  order: 'once',
});
export const bearer = (token: string): Readonly<Record<string, string>> => ({
  Authorization: `Bearer ${token}`,
});

export const saveTraffic = (file: string, traffic: Traffic): void =>
  writeFileSync(file, JSON.stringify(traffic));

/** The part of the load that this process sends: number `index` of `count`. */
export interface Stripe {
  readonly index: number;
  readonly count: number;
}

/**
 * Gives the bytes of the next request. Everything is built before the load starts, so that sending
 * costs no more than a write. `skip`: how many of the list all processes together have sent before.
 */
export function createSource(file: string, host: string, stripe: Stripe, skip = 0): () => Buffer {
  const traffic = JSON.parse(readFileSync(file, 'utf8')) as Traffic;
  const random = seededRandom(1 + stripe.index);
  const kinds = traffic.kinds.map(({ weight, requests }) => {
    const mine =
      requests.length >= stripe.count * 2
        ? requests.filter((_, i) => i % stripe.count === stripe.index)
        : requests;
    return {
      weight,
      bytes: mine.map((request) => encode(request, host)),
      next: Math.floor(skip / stripe.count),
    };
  });
  const total = kinds.reduce((sum, kind) => sum + kind.weight, 0);

  function kind() {
    let rest = kinds.length === 1 ? 0 : random() * total;
    for (const candidate of kinds) {
      rest -= candidate.weight;
      if (rest < 0) return candidate;
    }
    return kinds[0];
  }

  return () => {
    const from = kind();
    if (from === undefined) throw new Error('traffic without requests');
    const { bytes } = from;
    const index =
      traffic.order === 'random' ? Math.floor(random() * bytes.length) : from.next++ % bytes.length;
    return bytes[index] as Buffer;
  };
}

export function encode(
  { method = 'GET', path, headers = {}, body }: RequestShape,
  host: string,
): Buffer {
  const content = body === undefined ? '' : JSON.stringify(body);
  const all: Record<string, string> = { Host: host, Connection: 'keep-alive', ...headers };
  if (body !== undefined) {
    all['Content-Type'] ??= 'application/json';
    all['Content-Length'] = String(Buffer.byteLength(content));
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${content}`);
}

import * as trusts from '../../packages/verifier/src/trust';

/**
 * A resource server that does nothing but verify tokens, in a process of its own. For each token it
 * keeps when its last accepted check *began*, by the monotonic clock that all processes share.
 */

export interface VerifierOrder {
  readonly issuer: string;
  /** Where the issuer is reached: the proxy of this verifier. */
  readonly url: string;
  readonly credentials: { readonly clientId: string; readonly clientSecret: string };
  readonly whenSilent: 'introspect' | 'refuse';
  readonly planted?: 'no-lease' | 'lease-from-answer' | undefined;
}

export type ToVerifier =
  | { readonly kind: 'add'; readonly tokens: readonly (readonly [id: number, token: string])[] }
  | { readonly kind: 'drop'; readonly ids: readonly number[] };

export interface VerifierReport {
  readonly checks: number;
  /** Ids of tokens, and when their last accepted check began, in ms. */
  readonly accepted: readonly (readonly [id: number, beganMs: number])[];
  /** Refused checks by their codes. */
  readonly refused: Readonly<Record<string, number>>;
}

export const sharedNowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

function plant(fault: VerifierOrder['planted']): void {
  const { createTrust } = trusts;
  if (fault === 'no-lease') {
    // What was pushed is all that ends tokens.
    const planted: typeof createTrust = (clocks) => ({
      ...createTrust(clocks),
      holds: () => true,
    });
    Object.assign(trusts, { createTrust: planted });
  }
  if (fault === 'lease-from-answer') {
    const planted: typeof createTrust = (clocks) => {
      const trust = createTrust(clocks);
      return { ...trust, renew: (_began, leaseMs) => trust.renew(trust.begin(), leaseMs) };
    };
    Object.assign(trusts, { createTrust: planted });
  }
}

const REPORT_MS = 50;
/** Checks between two looks at the messages and sockets of this process. */
const TURN = 20;

async function main(order: VerifierOrder): Promise<void> {
  plant(order.planted);
  // After the planted fault, which replaces a part of it.
  const { createVerifier } = await import('../../packages/verifier/src/index.js');
  const verifier = createVerifier({
    ...{ issuer: order.issuer, audience: 'api', allowHttp: true },
    ...{ credentials: order.credentials, whenSilent: order.whenSilent, requestTimeoutMs: 2000 },
    fetch: (url, init) => fetch(String(url).replace(order.issuer, order.url), init),
  });
  const tokens = new Map<number, string>();
  const accepted = new Map<number, number>();
  let refused: Record<string, number> = {};
  let checks = 0;

  process.on('message', (message: ToVerifier) => {
    if (message.kind === 'add') for (const [id, token] of message.tokens) tokens.set(id, token);
    else for (const id of message.ids) tokens.delete(id);
  });
  process.once('disconnect', () => process.exit(0));
  setInterval(() => {
    process.send?.({ checks, accepted: [...accepted], refused } satisfies VerifierReport);
    accepted.clear();
    refused = {};
    checks = 0;
  }, REPORT_MS);

  async function check(id: number, token: string): Promise<void> {
    const beganMs = sharedNowMs();
    checks += 1;
    try {
      await verifier.verify(token);
      accepted.set(id, Math.max(beganMs, accepted.get(id) ?? 0));
    } catch (error) {
      const code = (error as { code?: string }).code ?? 'error';
      refused[code] = (refused[code] ?? 0) + 1;
    }
  }

  for (;;) {
    let n = 0;
    for (const [id, token] of tokens) {
      await check(id, token);
      n += 1;
      if (n % TURN === 0) await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

if (require.main === module) void main(JSON.parse(process.argv[2] ?? '') as VerifierOrder);

import type { AccessTokenClaims, SignedToken } from './claims.js';
import { createEndedTokens, type EndedTokens } from './ended-tokens.js';
import { endedToken, notCurrent, VerifierError } from './errors.js';
import { type Follower, followRevocations } from './follower.js';
import { createFetchJson, heldOpen } from './http.js';
import { type Settings, settingsOf, type VerifierOptions } from './options.js';
import { type AuthService, createAuthService } from './service.js';
import { createSignatures } from './signatures.js';
import { createTrust, type Trust } from './trust.js';

export interface Verifier {
  /**
   * The claims of a good access token. Throws VerifierError. Where the verifier has credentials, no
   * token is accepted whose end was acknowledged before the call.
   */
  verify(token: string): Promise<AccessTokenClaims>;
  /**
   * Resolves when the keys were read and, with credentials, every ended token is known. Before
   * that `verify` waits for the keys, and does as `whenSilent` says. Rejects when closed.
   */
  readonly ready: Promise<void>;
  /** Whether the verifier knows at this moment every token that was ended. */
  readonly isCurrent: boolean;
  /** Ends the background requests. `verify` throws `closed` from then on. */
  close(): void;
}

/** Decides about ended tokens, where the verifier has credentials. */
interface Revocations {
  readonly service: AuthService;
  readonly ended: EndedTokens;
  readonly trust: Trust;
  readonly follower: Follower;
}

export function createVerifier(options: VerifierOptions): Verifier {
  const settings = settingsOf(options);
  const closing = new AbortController();
  const { signal } = closing;
  const fetchJson = createFetchJson(settings);
  const signatures = createSignatures(settings, fetchJson, signal);
  const revocations = followed(settings, fetchJson, signal);

  /** The service's own word. It is asked after the call began, so its answer is not older. */
  async function asked(token: string, { service, follower }: Revocations): Promise<boolean> {
    if (settings.whenSilent === 'refuse') throw notCurrent(follower.lastError());
    try {
      return await service.isActive(token);
    } catch (error) {
      throw notCurrent(error);
    }
  }

  async function assertStanding(token: string, signed: SignedToken, by: Revocations) {
    const standing = by.ended.standingOf(signed);
    if (standing === 'ended') throw endedToken();
    if (standing === 'stands' && by.trust.holds()) return;
    if (!(await asked(token, by))) throw endedToken();
  }

  async function start(): Promise<void> {
    for (;;) {
      try {
        await signatures.ready();
        break;
      } catch (error) {
        if (signal.aborted || !(error instanceof VerifierError)) throw error;
      }
    }
    await revocations?.follower.current;
  }

  const closed = new Promise<never>((_, reject) => {
    const error = new VerifierError('closed', 'The verifier was closed.');
    signal.addEventListener('abort', () => reject(error), { once: true });
  });
  const ready = Promise.race([start(), closed]);
  ready.catch(() => undefined);
  let awaited: Promise<void> | undefined;

  async function decide(token: string, found: SignedToken | Promise<SignedToken>) {
    const signed = await found;
    if (revocations !== undefined) await assertStanding(token, signed, revocations);
    return signed.claims;
  }

  return {
    async verify(token) {
      if (signal.aborted) throw new VerifierError('closed', 'The verifier was closed.');
      const found = signatures.verify(token);
      if (found instanceof Promise) return heldOpen(decide(token, found));
      if (revocations === undefined) return found.claims;
      // The common case, without another promise. The lease is asked last of all.
      if (revocations.ended.standingOf(found) === 'stands' && revocations.trust.holds())
        return found.claims;
      return heldOpen(decide(token, found));
    },
    get ready() {
      // A caller that reads it waits for it.
      awaited ??= heldOpen(ready);
      awaited.catch(() => undefined);
      return awaited;
    },
    get isCurrent() {
      return revocations?.trust.holds() ?? false;
    },
    close: () => closing.abort(new VerifierError('closed', 'The verifier was closed.')),
  };
}

function followed(
  settings: Settings,
  fetchJson: ReturnType<typeof createFetchJson>,
  signal: AbortSignal,
): Revocations | undefined {
  const { credentials, maxEnded } = settings;
  if (credentials === undefined) return undefined;
  const service = createAuthService(settings, credentials, fetchJson, signal);
  const ended = createEndedTokens(maxEnded);
  const trust = createTrust();
  const follower = followRevocations({ settings, service, ended, trust, signal });
  return { service, ended, trust, follower };
}

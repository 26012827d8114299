import type { Request } from 'express';
import type { Config } from '../../../kernel/config/config';
import { invalidDpopProof } from '../problems';
import { ProofError, type VerifiedProof, verifyProof } from './proof';
import type { UsedProofs } from './used-proofs';

/** A proof of the request that is valid, and not used yet. */
export interface DpopProof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string;
  /** Uses it up. Throws 400 `invalid_dpop_proof` for all uses but one, on all hosts together. */
  use(): Promise<void>;
}

/** RFC 9449, for refresh tokens alone: access tokens stay bearer tokens. */
export interface Dpop {
  /**
   * The proof of a request; undefined: it has none. Throws 400 `invalid_dpop_proof`. Reads no
   * database: a proof is used up only once something else about the request was found right.
   */
  proofOf(req: Request): DpopProof | undefined;
}

export interface DpopDependencies {
  readonly used: UsedProofs;
  /** Without a slash at the end; undefined: the URL of the request, outside production. */
  readonly publicUrl: string | undefined;
  readonly settings: Config['dpop'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** Proofs are kept somewhat longer than hosts, whose clocks differ, accept them. */
const MARGIN_SECONDS = 120;

export function createDpop({ used, publicUrl, settings, now }: DpopDependencies): Dpop {
  const { proofSeconds: windowSeconds } = settings;

  function verify(text: string, req: Request): VerifiedProof {
    const base = publicUrl ?? `${req.protocol}://${req.host}`;
    const url = `${base}${req.baseUrl}${req.path}`;
    const nowSeconds = now() / 1000;
    try {
      return verifyProof(text, { method: req.method, url, nowSeconds, windowSeconds });
    } catch (error) {
      if (error instanceof ProofError) throw invalidDpopProof(error.message);
      throw error;
    }
  }

  return {
    proofOf(req) {
      const header = req.headers['dpop'];
      if (header === undefined) return undefined;
      // Node joins repeated headers with a comma, which no proof contains.
      const proof = verify(String(header), req);
      const until = new Date((proof.iat + windowSeconds + MARGIN_SECONDS) * 1000);
      return {
        jkt: proof.jkt,
        async use() {
          if (!(await used.use(proof, until))) throw invalidDpopProof('it was used before');
        },
      };
    },
  };
}

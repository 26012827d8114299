import { assertBearer, type BearerOptions, claimsOf, refusalOf } from './bearer.js';
import type { AccessTokenClaims } from './claims.js';
import { VerifierError } from './errors.js';
import type { Verifier } from './verifier.js';

/** The members used of a request and a response of Express 4 or 5, or of `node:http`. */
interface RequestLike {
  readonly headers: { readonly authorization?: string | undefined };
}
interface ResponseLike {
  writeHead(status: number, headers: Record<string, string>): unknown;
  end(body: string): unknown;
}

/** Express middleware: `req.auth` has the claims; else it answers 401, 403 or 503. */
export function expressVerifier(verifier: Verifier, options: BearerOptions = {}) {
  assertBearer('expressVerifier', verifier, options);
  return (req: RequestLike, res: ResponseLike, next: (error?: unknown) => void): Promise<void> =>
    claimsOf(verifier, req.headers.authorization, options).then(
      (claims) => {
        (req as RequestLike & { auth?: AccessTokenClaims }).auth = claims;
        next();
      },
      (error: unknown) => {
        if (!(error instanceof VerifierError)) return next(error);
        const { status, headers, body } = refusalOf(error);
        res.writeHead(status, { ...headers });
        res.end(body);
      },
    );
}

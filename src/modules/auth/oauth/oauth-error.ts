import { Problem } from '../../../kernel/errors';

/** RFC 6749 §5.2, RFC 8693 §2.2.2 and RFC 9449 §5. */
export type OAuthCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_dpop_proof'
  | 'unsupported_grant_type';

/** RFC 6749 §5.2: the OAuth endpoints have an error format of their own. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: OAuthCode;
  readonly status: number;
  constructor(code: OAuthCode, description: string, status = 400) {
    super(description);
    this.code = code;
    this.status = status;
  }
}

/** RFC 6749 §5.2: of a refresh token that is refused. */
export async function granting<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem && error.status === 401)
      throw new OAuthError('invalid_grant', error.detail ?? error.title);
    throw error;
  }
}

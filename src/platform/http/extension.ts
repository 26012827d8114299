import type { ProblemCode } from '../../kernel/problem-codes';
import type { Endpoint } from './endpoint';
import type { ResponseHeader } from './response-headers';

type Headers = Readonly<Partial<Record<ResponseHeader, string>>>;

/** Additions of a module's middleware to one operation of the OpenAPI document. */
export interface Extension {
  /** Names of the request headers that it reads. */
  readonly requestHeaders?: readonly string[];
  /** Headers of the operation's answers, with their descriptions. */
  readonly answerHeaders?: Headers;
  /** Its problems. The label tells their responses apart. */
  readonly problems?: readonly [label: string, codes: readonly ProblemCode[]];
  /** Headers of a 401. The label tells such responses apart. */
  readonly unauthorized?: { readonly label: string; readonly headers: Headers };
  /** Security schemes of which each may stand for the access token. */
  readonly security?: readonly string[];
}

export interface Operation {
  readonly endpoint: Endpoint;
  readonly extension: Extension;
}

/** The composition root hands them in: HTTP itself knows no module. */
export interface Extensions {
  readonly extensionOf: (endpoint: Endpoint) => Extension;
  /** Documented, and allowed by CORS. */
  readonly requestHeaders: Readonly<Record<string, { description: string; schema: object }>>;
  readonly securitySchemes: Readonly<Record<string, object>>;
  /** Whether a parameter in the path of this pattern belongs into no trace. */
  readonly hasSecretPath: (pattern: string) => boolean;
  /** Groups of operations, with their descriptions. */
  readonly tags: Readonly<Record<string, string>>;
}

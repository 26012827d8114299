export interface TestUser {
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly role: string;
  readonly email_verified: boolean;
}

/** From the test to the service. Each is answered. */
export type Order =
  | { readonly type: 'createUser'; readonly user: unknown }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'set'; readonly timeMs: number }
  | { readonly type: 'now' }
  | { readonly type: 'reset' };

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };

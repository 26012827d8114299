/** What a service account can be allowed. An endpoint names the one that it wants (`scope`); without one it is for users alone. */
export const SCOPES = ['users:read', 'users:write', 'audit:read', 'tokens:introspect'] as const;
export type Scope = (typeof SCOPES)[number];

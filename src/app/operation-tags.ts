/** Groups of operations in the OpenAPI document. */
export const operationTags = {
  users:
    'Lists, reads and changes of accounts: for the own account, and with a permission for all.',
  bulk: 'Import and export of users as files; jobs and their progress.',
  auth: 'Registration, sign-in, the profile, the password.',
  factors: 'Second factors: authenticator apps, recovery codes, and the steps that ask for them.',
  sessions: 'The sessions of the user. Each login creates one.',
  providers: 'Sign-in with OpenID Connect providers, and the linked identities of an account.',
  passkeys: 'Passkeys (WebAuthn): registration, sign-in without a password, second factor.',
  mail: 'Operations with a mailed token: password reset, verification and change of the e-mail address.',
  oauth: 'Token, revocation and introspection endpoints (RFC 6749, 7009, 7662).',
  discovery: 'Metadata and public keys, for verifiers of access tokens.',
  'service accounts': 'Accounts of programs. For the permission `service_accounts:manage`.',
  events: 'Events of users for other services, in one order. For the permission `events:read`.',
  webhooks:
    'Addresses that events are posted to (Standard Webhooks). For the permission `webhooks:manage`.',
  audit: 'The record of security events. For the permission `audit:read`.',
};

import { z } from 'zod';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import { PURPOSES, REQUIRED_PASSWORD } from './recovery/one-time-tokens';

/** The sections of an export that authentication writes. */
export const personalDataSchema = {
  sessions: z
    .array(
      z.object({
        id: shownId('Id of the session.'),
        created_at: shownTime('The login.'),
        last_used_at: shownTime('The last refresh.'),
        expires_at: shownTime('When it ends without a refresh.'),
        user_agent: shownText(256, 'User-Agent of the last refresh.', 'curl/8.5.0'),
        ip_prefix: shownText(64, 'IPv4 /24 or IPv6 /56 of the last refresh.', '203.0.113.0/24'),
        dpop_key: shownText(
          43,
          'Thumbprint of the key that its refresh tokens are bound to (RFC 7638); null: none.',
          'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
        ).nullable(),
      }),
    )
    .max(500),
  devices: z
    .array(z.object({ known_until: shownTime('When the device is forgotten.') }))
    .max(10_000),
  factors: z
    .array(
      z.object({
        id: shownText(64, 'Id of the second factor.', '652f1c3e9b1d4a0012ab34cd'),
        kind: shownText(32, 'Its kind.', 'totp'),
        name: shownText(100, 'Its name.', 'Phone'),
        created_at: shownTime('When it was added.'),
        last_used_at: shownTime('Its last use; null: none yet.').nullable(),
      }),
    )
    .max(100),
  one_time_tokens: z
    .array(
      z.object({
        purpose: z
          .enum([...PURPOSES, REQUIRED_PASSWORD])
          .meta({ description: 'What the token allows.' }),
        email: shownText(254, 'The address that it was mailed to.', 'ada@example.org'),
        expires_at: shownTime('When it expires.'),
      }),
    )
    .max(100),
  mailed_codes: z
    .array(z.object({ expires_at: shownTime('When the mailed code expires.') }))
    .max(100),
  mails: z
    .array(
      z.object({
        kind: shownText(64, 'What the mail is about.', 'reset-password'),
        to: shownText(254, 'The address; null: unreadable.', 'ada@example.org').nullable(),
        created_at: shownTime('When it was written.'),
        expires_at: shownTime('When it is dropped if it cannot be sent.'),
      }),
    )
    .max(1000),
  identities: z
    .array(
      z.object({
        provider: shownText(32, 'Id of the provider.', 'example'),
        issuer: shownText(2048, 'Its issuer.', 'https://login.example.org'),
        subject: shownText(255, 'The user there.', '248289761001'),
        email: shownText(254, 'The address there; null: not known.', 'a@example.org').nullable(),
        created_at: shownTime('When it was linked.'),
        last_used_at: shownTime('The last sign-in by it; null: none.').nullable(),
      }),
    )
    .max(100),
  passkeys: z
    .array(
      z.object({
        name: shownText(100, 'Name that the user gave it.', 'Key ring'),
        credential_id: shownText(1364, 'Id that the authenticator gave it.', 'q2Vb4nK8'),
        created_at: shownTime('When it was registered.'),
        last_used_at: shownTime('When it was last used.').nullable(),
      }),
    )
    .max(100),
  service_accounts: z
    .array(
      z.object({
        id: shownId('Id of a service account that the user has created.'),
        name: shownText(100, 'Its name.', 'Report'),
        scopes: z.array(shownText(64, 'A permission.', 'users:read')).max(100),
        created_at: shownTime('When it was created.'),
      }),
    )
    .max(1000),
};

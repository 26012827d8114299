import type { Question } from '../bench';
import { type Contestant, ours, steppedUpToken } from '../contestants';
import { ISSUER } from '../issuer';
import { profileReads } from './profile-reads';

/** Everything by which users can sign in, beside the password. */
const METHODS = {
  MFA_POLICY: 'required',
  PASSKEY_RP_NAME: 'Bench',
  EMAIL_SIGN_IN: 'true',
  BROWSER_ORIGINS: ISSUER,
  OIDC_REDIRECT_URLS: `${ISSUER}/signed-in`,
  OIDC_PROVIDERS: JSON.stringify([
    {
      ...{ id: 'example', name: 'Example', issuer: 'https://accounts.example.org' },
      ...{ client_id: 'bench', client_secret: 'bench-8sVn2kQx7wLz' },
    },
  ]),
  // Providers and second factors need a place for secrets, and mailed codes a mail server.
  KEY_ENCRYPTION_SECRET: 'bench-3Tg7uYb1nMq9wEr5zXc2vLk8jHd4sPaF',
  SMTP_URL: 'smtps://127.0.0.1:9',
  MAIL_FROM: 'bench@bench.example',
};

const withMethods: Contestant = {
  ...ours,
  id: 'sign-in-methods',
  letter: 'e+',
  title: '(e) with every way to sign in',
  launch: (settings, workers, env) => ours.launch(settings, workers, { ...env, ...METHODS }),
  token: steppedUpToken,
};

const passwordsOnly: Contestant = {
  ...ours,
  id: 'passwords-only',
  letter: 'e−',
  title: '(e) with passwords only',
  launch: (settings, workers, env) => ours.launch(settings, workers, { ...env, MFA_POLICY: 'off' }),
};

/**
 * What second factors, passkeys, providers, mailed codes and cookies cost where nobody signs in.
 */
export const signInMethods: Question = {
  id: 'sign-in-methods',
  title: 'GET /api/auth/profile, with and without ways to sign in beside the password',
  quick: false,
  ask: (bench) =>
    bench.withField([withMethods, passwordsOnly], {}, (field) =>
      bench.compare(
        { question: 'sign-in-methods', name: 'requests' },
        field.map((standing) => ({
          standing,
          traffic: profileReads(standing),
        })),
      ),
    ),
};

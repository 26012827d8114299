import { button, h } from './dom.mjs';
import { Told } from './fields.mjs';
import { CODE, credentialFor, step } from './sign-in-step.mjs';

const KINDS = {
  totp: {
    label: 'Use the authenticator app',
    title: 'Enter the code of your app',
    field: { name: 'code', label: 'Code', ...CODE },
  },
  recovery_code: {
    label: 'Use a recovery code',
    title: 'Enter a recovery code',
    field: { name: 'code', label: 'Recovery code', autocomplete: 'off' },
  },
  passkey: { label: 'Use a passkey', title: 'Use your passkey' },
};

/** The second step of a sign-in: gives a factor, or sets up the first one. */
export function factorStep({ session, show, demand, done }) {
  const { client } = session;
  const { mfa_token, factors, enrollable = [] } = demand;
  const known = factors.filter((kind) => kind in KINDS);

  async function verify(proof) {
    const result = await client.auth.verifyMfa({ mfa_token, ...proof });
    if (result.recovery_codes === undefined) return done(result.user);
    showCodes(result);
  }

  async function passkey() {
    const path = '/api/auth/passkeys/second-factor/options';
    const { public_key } = await client.request('POST', path, { body: { mfa_token } });
    await verify({ factor: 'passkey', credential: await credentialFor(public_key) });
  }

  function factor(kind) {
    const { title, field } = KINDS[kind];
    step(show, {
      title,
      fields: field === undefined ? [] : [field],
      action: kind === 'passkey' ? 'Ask for the passkey' : 'Sign in',
      more: known.filter((one) => one !== kind).map((one) => [KINDS[one].label, () => factor(one)]),
      submit: ({ code }) =>
        kind === 'passkey' ? passkey() : verify({ factor: kind, code: code.trim() }),
    });
  }

  /** Of an account that must have a factor and has none. */
  async function enrol() {
    const body = { mfa_token };
    const made = await client.request('POST', '/api/auth/mfa/totp', { body });
    const src = `data:image/svg+xml,${encodeURIComponent(made.qr_svg)}`;
    step(show, {
      title: 'Set up an authenticator app',
      text: [
        'Your role needs a second factor. Scan this code with an authenticator app, or type the key.',
        h('img', { class: 'qr', src, alt: 'QR code for the app', width: '180', height: '180' }),
        h('p', { class: 'key' }, made.secret),
      ],
      fields: [KINDS.totp.field],
      action: 'Confirm',
      submit: ({ code }) => verify({ factor: 'totp', code: code.trim() }),
    });
  }

  function showCodes({ user, recovery_codes: codes }) {
    const list = h('ul', { class: 'codes' }, ...codes.map((code) => h('li', {}, code)));
    const go = button('I have stored them', () => done(user), 'primary');
    show(
      h(
        'div',
        {},
        h('h1', { tabindex: '-1' }, 'Store your recovery codes'),
        h('p', {}, 'Each opens your account once when the app is lost. They are not shown again.'),
        list,
        h('div', { class: 'actions' }, go),
      ),
    );
    go.focus();
  }

  if (known.length > 0) return factor(known[0]);
  if (enrollable.includes('totp')) return enrol();
  throw new Told('The account needs a factor that this page does not know.');
}

import { isProblem } from '@clustered-auth/client';
import { h } from './dom.mjs';
import { factorStep } from './sign-in-factor.mjs';
import { CODE, credentialFor, step } from './sign-in-step.mjs';

/**
 * The steps of a sign-in, shown in the element that it gives back. `done` gets the user.
 * `email`: of the person that signs in again.
 */
export function createSignIn({ session, email, title, text, done }) {
  const { client, facts } = session;
  const element = h('div', { class: 'sign-in' });
  const show = (form) => element.replaceChildren(form);

  /** Of every answer that signs in, or asks for more. */
  async function onwards(work) {
    let result;
    try {
      result = await work();
    } catch (error) {
      if (!isProblem(error, 'password_change_required')) throw error;
      return newPassword(error);
    }
    if (result.mfa_required) return factorStep({ session, show, demand: result, done });
    return done(result.user);
  }

  function newPassword({ message, problem }) {
    step(show, {
      title: 'Set a new password',
      text: message,
      fields: [{ name: 'new_password', label: 'New password', ...secret('new-password') }],
      action: 'Set the password',
      submit: ({ new_password }) =>
        onwards(() =>
          client.request('POST', '/api/auth/password/required', {
            body: { token: problem.password_change_token, new_password },
          }),
        ),
    });
  }

  async function byPasskey() {
    const { public_key } = await client.request('POST', '/api/auth/passkeys/sign-in/options');
    const credential = await credentialFor(public_key);
    await onwards(() =>
      client.request('POST', '/api/auth/passkeys/sign-in', { body: { credential } }),
    );
  }

  async function byMail({ email: address }) {
    const body = { email: email ?? address };
    const { sign_in_token } = await client.request('POST', '/api/auth/email-sign-in', { body });
    step(show, {
      title: 'Enter the code of the mail',
      text: `If ${body.email} is the confirmed address of an account, a mail is on its way.`,
      fields: [{ name: 'code', label: 'Code', ...CODE }],
      action: 'Sign in',
      submit: ({ code }) =>
        onwards(() =>
          client.request('POST', '/api/auth/email-sign-in/verify', {
            body: { sign_in_token, code: code.trim() },
          }),
        ),
    });
  }

  const address = { name: 'email', label: 'E-mail', type: 'email', autocomplete: 'username' };
  const password = { name: 'password', label: 'Password', ...secret('current-password') };
  step(show, {
    title,
    text,
    fields: email === undefined ? [address, password] : [password],
    action: 'Sign in',
    more: [
      ...(facts.passkey_origins.includes(location.origin) ? [['Use a passkey', byPasskey]] : []),
      ...(facts.email_sign_in ? [['Mail me a code', byMail]] : []),
    ],
    submit: ({ email: typed = email, password: secretText }) =>
      onwards(() => client.auth.login({ email: typed.trim(), password: secretText })),
  });
  return element;
}

const secret = (autocomplete) => ({ type: 'password', autocomplete });

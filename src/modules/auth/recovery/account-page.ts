import { type RequestHandler, Router } from 'express';
import { cspHash } from '../../../kernel/crypto/digest';
import { serve } from '../../../platform/http/page-file';
import { ACCOUNT_SCRIPT } from './account-page-script';
import { ACCOUNT_STYLE } from './account-page-style';
import type { Purpose } from './one-time-tokens';

/** The target of links in mails unless MAIL_LINK_BASE is set. */
export const ACCOUNT_PAGE = '/account';

interface Form {
  readonly title: string;
  readonly text: string;
  readonly path: string;
  readonly label: string;
  readonly input: string;
  /** The subject of the sentence about a refused value. */
  readonly field: string;
  readonly button: string;
  readonly done: string;
  /** The advice when the link has expired. */
  readonly expired: string;
  readonly hint: string;
}

const FORGOT = `<a href="?purpose=forgot-password">set a new password</a>`;
const PASSWORD = `name="current_password" type="password" autocomplete="current-password" required maxlength="256"`;
const CONFIRM = {
  path: 'api/auth/email/verify',
  label: 'Password of the account',
  input: PASSWORD,
  field: 'The password',
} as const;

const FORMS: Readonly<Record<Purpose | 'forgot-password', Form>> = {
  'verify-email': {
    ...CONFIRM,
    title: 'Confirm your e-mail address',
    text: 'Enter the password of your account to confirm that this address is yours.',
    button: 'Confirm the address',
    done: 'Your e-mail address is confirmed. You can close this page.',
    expired: 'Sign in and ask for another mail.',
    hint: `If you have forgotten the password, or somebody else opened this account with your address, ${FORGOT}: that also confirms the address and ends every other session.`,
  },
  'change-email': {
    ...CONFIRM,
    title: 'Confirm your new e-mail address',
    text: 'Enter the password of your account to use this address from now on.',
    button: 'Use this address',
    done: 'Your account has this e-mail address now. You can close this page.',
    expired: 'Sign in and ask for the change again.',
    hint: 'If you did not ask for this, close this page: nothing changes.',
  },
  'reset-password': {
    title: 'Set a new password',
    text: 'The new password ends every session of your account.',
    path: 'api/auth/password/reset',
    label: 'New password',
    input: `name="new_password" type="password" autocomplete="new-password" required minlength="8" maxlength="72"`,
    field: 'The new password',
    button: 'Set the password',
    done: 'Your password is set. You can sign in with it now.',
    expired: 'Ask for another mail below.',
    hint: `If the link no longer works, <a href="?purpose=forgot-password">ask for another mail</a>.`,
  },
  invitation: {
    title: 'Welcome: set your password',
    text: 'An account was opened for you. Set a password to use it.',
    path: 'api/auth/invitation/accept',
    label: 'Password',
    input: `name="password" type="password" autocomplete="new-password" required minlength="8" maxlength="72"`,
    field: 'The password',
    button: 'Set the password',
    done: 'Your password is set. You can sign in with it now.',
    expired: 'Ask for another invitation.',
    hint: `If you have used this link before and forgotten the password, ${FORGOT}.`,
  },
  'forgot-password': {
    title: 'Forgotten password',
    text: 'Enter the e-mail address of your account. You get a mail with a link to set a new password.',
    path: 'api/auth/password/forgot',
    label: 'E-mail address',
    input: `name="email" type="email" autocomplete="email" required maxlength="254"`,
    field: 'The address',
    button: 'Send the mail',
    done: 'If there is an account with this address, a mail is on its way to it.',
    expired: '',
    hint: 'The link in the mail can be used once, within an hour.',
  },
};

function formHtml([purpose, form]: [string, Form]): string {
  const { title, text, path, label, input, field, button, done, expired, hint } = form;
  const hasToken = purpose === 'forgot-password' ? 'no' : 'yes';
  const reveal =
    purpose === 'reset-password' || purpose === 'invitation'
      ? '<label class="check"><input type="checkbox"> Show the password</label>'
      : '';
  return `<form hidden method="post" data-purpose="${purpose}" data-token="${hasToken}" data-path="${path}" data-field="${field}" data-done="${done}" data-expired="${expired}">
<h1>${title}</h1><p>${text}</p>
<label for="${purpose}">${label}</label><input id="${purpose}" ${input}>${reveal}
<button>${button}</button><p class="soft">${hint}</p></form>`;
}

const HTML = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>Your account</title><link rel="icon" href="data:,"><style>${ACCOUNT_STYLE}</style></head>
<body><main>${Object.entries(FORMS).map(formHtml).join('\n')}
<div id="sign-in" hidden><h1>Your code</h1><p>Enter this code where you asked to sign in:</p><p class="code" id="code"></p><p class="soft">It works once, and only on the device that asked for it.</p></div>
<div id="nothing" hidden><h1>Your account</h1><p>Open this page by the link in a mail.</p><p>If you have forgotten your password, ${FORGOT}.</p></div>
<p id="outcome" role="status" tabindex="-1" hidden></p>
<noscript><h1>Your account</h1><p>This page needs JavaScript. You can also enter the token of the mail in your program.</p></noscript>
</main><script>${ACCOUNT_SCRIPT}</script></body></html>
`;

/** Allows only the inline script and style of the page, and requests to this service. */
const POLICY = [
  "default-src 'none'",
  `script-src ${cspHash(ACCOUNT_SCRIPT)}`,
  `style-src ${cspHash(ACCOUNT_STYLE)}`,
  'img-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page for links in mails: it confirms an address or sets a password. */
export function accountPage(): RequestHandler {
  const router = Router({ caseSensitive: true });
  serve(router, ACCOUNT_PAGE, 'text/html; charset=utf-8', () => HTML, {
    cacheControl: 'public, max-age=300',
    policy: POLICY,
  });
  return router;
}

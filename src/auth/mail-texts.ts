import type { Mail } from './mailer';
import type { Purpose } from './one-time-tokens';

export const TTL_SECONDS: Readonly<Record<Purpose, number>> = {
  'verify-email': 3 * 86_400,
  'change-email': 86_400,
  'reset-password': 3600,
};

const SUBJECT: Readonly<Record<Purpose, string>> = {
  'verify-email': 'Confirm your e-mail address',
  'change-email': 'Confirm your new e-mail address',
  'reset-password': 'Set a new password',
};

const REQUEST: Readonly<Record<Purpose, string>> = {
  'verify-email': 'an account was opened with this e-mail address. To confirm that it is yours, open:',
  'change-email': 'this is to be the new e-mail address of an account. To confirm that it is yours, open:',
  'reset-password': 'a new password was asked for, for the account with this e-mail address. To set one, open:',
};

const hours = (seconds: number) => (seconds >= 7200 ? `${Math.round(seconds / 3600)} hours` : 'one hour');

export function tokenMail(to: string, purpose: Purpose, token: string, linkBase: string): Mail {
  const link = new URL(linkBase);
  link.searchParams.set('purpose', purpose);
  // In the fragment it stays out of the logs and referrers of whatever serves the page.
  link.hash = `token=${token}`;
  return {
    to,
    subject: SUBJECT[purpose],
    text: `Hello,\n\n${REQUEST[purpose]}\n\n${link}\n\nThe token is: ${token}\nIt is good for ${hours(TTL_SECONDS[purpose])} and for one use.\n\nIf this was not you, nothing needs to be done.\n`,
  };
}

export const passwordChangedMail = (to: string): Mail => ({
  to,
  subject: 'Your password was changed',
  text: 'Hello,\n\nthe password of your account was changed, and all other sessions were ended.\n\nIf this was not you, set a new password at once: ask for one where you sign in.\n',
});

export const emailChangedMail = (to: string): Mail => ({
  to,
  subject: 'Your e-mail address was changed',
  text: 'Hello,\n\nyour account now has another e-mail address; this one is no longer used.\n\nIf this was not you, turn to those who run the service.\n',
});

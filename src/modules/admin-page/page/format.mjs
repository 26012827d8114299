import { h } from './dom.mjs';

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** `–` where there is no time. */
export const time = (text) =>
  text ? h('time', { datetime: text, title: text }, full.format(new Date(text))) : '–';

/** `account_banned` → `Account banned`. */
export const words = (name) => {
  const text = name.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
};

export const badge = (text, kind = '') => h('span', { class: `badge ${kind}` }, text);

export const statusBadge = (status) => badge(status, status === 'banned' ? 'bad' : 'good');

/** Of a list: `1 user`, `20 users`. */
export const counted = (count, noun) =>
  `${count.toLocaleString()} ${noun}${count === 1 ? '' : 's'}`;

/** A User-Agent as people know it, or its first words. */
export function deviceOf(userAgent) {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(userAgent)?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(userAgent)?.[1];
  if (browser === undefined) return userAgent.split(' ', 2).join(' ').slice(0, 40) || '–';
  const name = { Edg: 'Edge', OPR: 'Opera' }[browser] ?? browser;
  return system === undefined ? name : `${name} on ${system.replace('Mac OS X', 'macOS')}`;
}

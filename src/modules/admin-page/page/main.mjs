import { showDialog } from './dialog.mjs';
import { button, h } from './dom.mjs';
import { textOf } from './fields.mjs';
import { badge } from './format.mjs';
import { watchIdle } from './idle.mjs';
import { baseUrl, createAdminSession } from './session.mjs';
import { createSignIn } from './sign-in.mjs';
import { auditView } from './views/audit.mjs';
import { importView } from './views/import.mjs';
import { userView } from './views/user.mjs';
import { usersView } from './views/users.mjs';

/** By the first part of the hash, with the permission that each needs. */
const VIEWS = {
  users: { title: 'Users', permission: 'users:read', view: usersView },
  audit: { title: 'Audit log', permission: 'audit:read', view: auditView },
  import: { title: 'Import', permission: 'users:import', view: importView },
};

const main = document.getElementById('main');
const top = document.getElementById('top');
let session;
/** The present view: where the hash has the same path, it only gets new parameters. */
let shown;
let stopWatching = () => {};

function readHash() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name = '', id] = path.split('/');
  return { path, name, id, params: new URLSearchParams(query) };
}

const allowed = () => Object.entries(VIEWS).filter(([, one]) => session.can(one.permission));

function showHeader(current) {
  const { user } = session;
  const links = allowed().map(([name, { title }]) =>
    h('a', { href: `#/${name}`, 'aria-current': name === current ? 'page' : undefined }, title),
  );
  top.hidden = false;
  top.replaceChildren(
    h('span', { class: 'brand' }, 'Administration'),
    h('nav', { 'aria-label': 'Views' }, ...links),
    h(
      'div',
      { class: 'me' },
      h('span', {}, user.name),
      badge(user.role),
      button('Sign out', () => void signOut()),
    ),
  );
}

function present(element, title) {
  main.replaceChildren(element);
  document.title = `${title} – Administration`;
  window.scrollTo(0, 0);
  (element.querySelector('h1') ?? main).focus();
}

async function show() {
  if (session?.user === undefined) return;
  const { path, name, id, params } = readHash();
  const views = allowed();
  if (views.length === 0) return showNothing();
  if (!views.some(([one]) => one === name)) {
    location.replace(`#/${views[0][0]}`);
    return;
  }
  showHeader(name);
  if (shown?.path === path) return shown.update?.(params);
  shown?.close?.();
  const { view, title } = VIEWS[name];
  const isUser = name === 'users' && id !== undefined;
  const next = isUser ? userView({ session, id }) : view({ session, params, id });
  shown = { ...next, path };
  present(next.element, isUser ? 'User' : title);
}

function showNothing() {
  showHeader('');
  const text = `The role ${session.user.role} may not read or change other accounts.`;
  present(h('section', {}, heading('No rights'), h('p', {}, text)), 'No rights');
}

const heading = (text) => h('h1', { tabindex: '-1' }, text);

function showSignIn(text) {
  stopWatching();
  shown?.close?.();
  shown = undefined;
  for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
  top.hidden = true;
  const form = createSignIn({
    ...{ session, title: 'Administration', text: text ?? 'Sign in to manage users.' },
    done(user) {
      session.opened(user);
      stopWatching = watchIdle({ look: () => void session.renew(), left: signOutIdle });
      void show();
    },
  });
  document.title = 'Sign in – Administration';
  main.replaceChildren(form);
  form.querySelector('input')?.focus();
}

async function signOut() {
  try {
    await session.signOut();
    showSignIn('You are signed out.');
  } catch (error) {
    showSignIn(`This page has forgotten your session. ${textOf(error)}`);
  }
}

/** At once, without waiting for the answer: the person has left. */
function signOutIdle(minutes) {
  session.signOut().catch(() => {});
  showSignIn(`You were signed out after ${minutes} minutes without input.`);
}

/**
 * Opens a new session in the place of the present one, which ends. A passkey may be that of another
 * account: it must not do what this person has asked for.
 */
async function signInAgain() {
  const { client, user } = session;
  const old = await client.auth.accessToken();
  let isOther = false;
  await showDialog('Confirm that it is you', (close) =>
    createSignIn({
      ...{ session, email: user.email },
      text: `This needs a recent login. Sign in again as ${user.email}.`,
      done(next) {
        if (old !== undefined) void session.end(`Bearer ${old}`);
        isOther = next.id !== user.id;
        if (!isOther) session.opened(next);
        close();
      },
    }),
  );
  if (!isOther) return;
  await session.signOut().catch(() => {});
  showSignIn('That was another account. Both are signed out, and nothing was changed.');
  throw new Error('Another account has signed in.');
}

async function start() {
  const answer = await fetch(`${baseUrl}/admin/assets/settings.json`);
  session = createAdminSession(await answer.json());
  session.identifyBy(signInAgain);
  session.onEnd(() => showSignIn('Your session has ended. Sign in again.'));
  window.addEventListener('hashchange', () => void show());
  window.addEventListener('pagehide', () => session.close());
  showSignIn();
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
start().catch((error) => {
  main.replaceChildren(heading('Administration'), h('p', { role: 'alert' }, textOf(error)));
});

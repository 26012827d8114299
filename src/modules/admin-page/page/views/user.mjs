import { Cancelled } from '../dialog.mjs';
import { announce, button, h } from '../dom.mjs';
import { createAlert, textOf } from '../fields.mjs';
import { badge, statusBadge, time } from '../format.mjs';
import { eventsTable } from './events-table.mjs';
import { sessionsPart } from './sessions.mjs';
import { actionsOf } from './user-actions.mjs';

const json = (value) => h('pre', { tabindex: '0' }, JSON.stringify(value, null, 2));
const isEmpty = (value) => value === undefined || Object.keys(value).length === 0;

function banText({ until, reason }) {
  const end = until === null ? ['until it is lifted'] : ['until ', time(until)];
  return h('span', {}, ...end, reason === null ? '' : ` (${reason})`);
}

/** Every member that the API shows. */
function membersOf(user) {
  const shown = [
    ['E-mail', user.email],
    ['Address confirmed', user.email_verified ? 'yes' : 'no'],
    ['Role', badge(user.role)],
    ['Status', statusBadge(user.status)],
    ...(user.ban ? [['Banned', banText(user.ban)]] : []),
    ...(user.password_change_required === undefined
      ? []
      : [['New password at next login', user.password_change_required ? 'yes' : 'no']]),
    ['External id', user.external_id ?? '–'],
    ['Created', time(user.created_at)],
    ['Changed', time(user.updated_at)],
    ['Last login', time(user.last_login_at)],
    ['Id', h('code', {}, user.id)],
  ];
  return h(
    'dl',
    {},
    ...shown.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
  );
}

function metadataOf(user) {
  const parts = [
    ['User metadata', user.user_metadata],
    ['App metadata', user.app_metadata],
    ['Private metadata', user.private_metadata],
  ].filter(([, value]) => !isEmpty(value));
  if (parts.length === 0) return undefined;
  return panel('Metadata', ...parts.flatMap(([name, value]) => [h('h3', {}, name), json(value)]));
}

const panel = (title, ...content) =>
  h('section', { class: 'panel' }, h('h2', {}, title), ...content);

/** One user, and the actions on it. */
export function userView({ session, id }) {
  const alert = createAlert();
  const title = h('h1', { tabindex: '-1' }, 'User');
  const body = h('div', {});
  const control = new AbortController();
  const { signal } = control;

  async function read() {
    const options = { path: { id }, signal };
    return session.client.request('GET', '/api/users/{id}', options);
  }

  function show(user, options) {
    title.textContent = user.name;
    document.title = `${user.name} – Administration`;
    const context = { session, user, read, refresh };
    const actions = actionsOf(context).map(([text, work, kind]) =>
      button(text, () => void tell(work), kind),
    );
    body.replaceChildren(
      h('div', { class: 'actions bar' }, ...actions),
      h(
        'div',
        { class: 'panels' },
        h('div', {}, panel('Account', membersOf(user)), metadataOf(user)),
        h(
          'div',
          {},
          session.can('sessions:read') && panel('Sessions', sessionsPart(context, signal)),
          session.can('audit:read') &&
            panel('Audit', eventsTable(session, { subject: id }, signal, options)),
        ),
      ),
    );
  }

  async function tell(work) {
    try {
      const done = await work();
      if (done !== undefined) announce(done);
      // The button that was pressed is gone.
      if (document.activeElement === document.body) title.focus();
    } catch (error) {
      if (!(error instanceof Cancelled)) alert.textContent = textOf(error);
    }
  }

  async function refresh(options = { change: true }) {
    alert.textContent = '';
    try {
      show(await read(), options);
    } catch (error) {
      if (signal.aborted) return;
      body.replaceChildren();
      alert.textContent = textOf(error);
    }
  }

  const back = h('a', { href: '#/users' }, '← Users');
  const element = h(
    'section',
    {},
    h('p', { class: 'back' }, back),
    h('div', { class: 'title' }, title),
    alert,
    body,
  );
  void refresh({ change: false });
  return { element, close: () => control.abort() };
}

import { announceQuietly, button, h, table } from '../dom.mjs';
import { createAlert, createField, textOf } from '../fields.mjs';
import { badge, counted, statusBadge, time } from '../format.mjs';
import { createUser } from './user-changes.mjs';

const FIELDS = 'name,email,role,status,created_at,last_login_at,email_verified';
const SORTS = [
  ['', 'Newest or best match'],
  ['created_at', 'Oldest first'],
  ['name', 'Name'],
  ['email', 'E-mail'],
  ['-last_login_at', 'Last login'],
];
const STATUSES = [
  ['', 'Any status'],
  ['active', 'Active'],
  ['banned', 'Banned'],
];
const COLUMNS = [['User'], ['Role'], ['Status'], ['Last login', 'wide'], ['Created', 'wide']];
const SEARCH_AFTER_MS = 300;

const rowOf = (user) => [
  h(
    'div',
    { class: 'person' },
    h('a', { href: `#/users/${user.id}` }, user.name),
    h('span', { class: 'soft' }, user.email),
  ),
  badge(user.role),
  statusBadge(user.status),
  time(user.last_login_at),
  time(user.created_at),
];

/** Search, filters and pages of users. All of it is in the hash: going back works. */
export function usersView({ session, params: first }) {
  const roles = Object.keys(session.facts.roles).map((role) => [role, role]);
  const fields = [
    createField({ name: 'q', label: 'Search', type: 'search', hint: 'Start of a name or e-mail' }),
    createField({ name: 'role', label: 'Role', options: [['', 'Any role'], ...roles] }),
    createField({ name: 'status', label: 'Status', options: STATUSES }),
    createField({ name: 'sort', label: 'Order', options: SORTS }),
  ];
  const alert = createAlert();
  const results = h('div', { 'aria-busy': 'false' });
  let loading = new AbortController();
  let typing;

  function go(more) {
    clearTimeout(typing);
    // A link was followed while the search waited.
    if (!/^#\/users(\?|$)/.test(location.hash)) return;
    const query = new URLSearchParams();
    for (const { name, value } of fields) if (value.trim() !== '') query.set(name, value.trim());
    for (const [name, value] of Object.entries(more)) query.set(name, value);
    location.hash = `#/users${query.size > 0 ? `?${query}` : ''}`;
  }

  async function load(params) {
    loading.abort();
    loading = new AbortController();
    const { signal } = loading;
    results.setAttribute('aria-busy', 'true');
    const query = { ...Object.fromEntries(params), fields: FIELDS, count: true };
    try {
      const page = await session.client.request('GET', '/api/users', { query, signal });
      if (signal.aborted) return;
      alert.textContent = '';
      showPage(page);
    } catch (error) {
      if (signal.aborted) return;
      results.replaceChildren();
      alert.textContent = textOf(error);
    }
    results.setAttribute('aria-busy', 'false');
  }

  function showPage({ data, next_cursor, prev_cursor, total, total_capped }) {
    const count = `${total_capped ? 'More than ' : ''}${counted(total, 'user')}`;
    const focused = document.activeElement?.dataset?.['page'];
    const pager = [
      ['previous', 'Previous', prev_cursor],
      ['next', 'Next', next_cursor],
    ].map(([name, text, cursor]) =>
      h(
        'button',
        { type: 'button', 'data-page': name, disabled: !cursor, onclick: () => go({ cursor }) },
        text,
      ),
    );
    results.replaceChildren(
      h('p', { class: 'soft count' }, count),
      data.length === 0
        ? h('p', { class: 'empty' }, 'No user fits.')
        : table('Users', COLUMNS, data.map(rowOf), { class: 'listed' }),
      h('div', { class: 'actions pager' }, ...pager),
    );
    // The button that was pressed is a new one now.
    const again = pager.find((one) => one.dataset['page'] === focused);
    (again?.disabled ? pager.find((one) => !one.disabled) : again)?.focus();
    announceQuietly(data.length === 0 ? 'No user fits' : `${counted(data.length, 'user')} shown`);
  }

  function update(params) {
    for (const field of fields) {
      const value = params.get(field.name) ?? '';
      if (field.value.trim() !== value) field.value = value;
    }
    return load(params);
  }

  const onsubmit = (event) => {
    event.preventDefault();
    go({});
  };
  const oninput = ({ target }) => {
    clearTimeout(typing);
    typing = setTimeout(() => go({}), target.type === 'search' ? SEARCH_AFTER_MS : 0);
  };
  const element = h(
    'section',
    {},
    h(
      'div',
      { class: 'title' },
      h('h1', { tabindex: '-1' }, 'Users'),
      session.can('users:write') && button('New user…', () => void createUser(session), 'primary'),
    ),
    h(
      'form',
      { class: 'filters', role: 'search', onsubmit, oninput },
      ...fields.map((f) => f.element),
    ),
    alert,
    results,
  );
  void update(first);
  return {
    element,
    update,
    close() {
      clearTimeout(typing);
      loading.abort();
    },
  };
}

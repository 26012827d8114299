import { button, h, table } from '../dom.mjs';
import { createAlert, textOf } from '../fields.mjs';
import { badge, deviceOf, time, words } from '../format.mjs';

const COLUMNS = [['When'], ['Event'], ['By'], ['Account'], ['From', 'wide']];
const LIMIT = 20;
/** An event is stored a moment after the answer to its cause. */
const STORED_AFTER_MS = 1000;
const ID = /^[0-9a-f]{24}$/;

function detailOf({ reason, note, count }) {
  const parts = [
    reason === null ? '' : words(reason),
    note === null ? '' : `“${note}”`,
    count === undefined ? '' : `${count} times`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? undefined : h('span', { class: 'soft' }, parts.join(', '));
}

/**
 * Audit events, the newest first; older ones by a button. `query`: subject, type. After a `change`
 * it reads once more, since the event of that change may be on its way.
 */
export function eventsTable(session, query, signal, { change = false } = {}) {
  const names = new Map([[session.user.id, session.user.name]]);
  let rows = [];
  const alert = createAlert();
  const place = h('div', {}, h('p', { class: 'soft' }, 'Loading…'));
  const element = h('div', {}, alert, place);
  const isOfOne = query.subject !== undefined;
  const columns = isOfOne ? COLUMNS.filter(([name]) => name !== 'Account') : COLUMNS;

  /** Ids say little: the names of the accounts that still exist. */
  async function learnNames(events) {
    if (!session.can('users:read')) return;
    const ids = [...new Set(events.flatMap(({ actor, subject }) => [actor, subject]))]
      .filter((id) => ID.test(id ?? '') && !names.has(id))
      .slice(0, 100);
    if (ids.length === 0) return;
    const { data } = await session.client.request('GET', '/api/users', {
      query: { ids: ids.join(','), fields: 'name' },
      signal,
    });
    for (const { id, name } of data) names.set(id, name);
  }

  function account(id) {
    if (id === null) return '–';
    const name = names.get(id);
    if (name === undefined) return h('code', { title: id }, `${id.slice(0, 8)}…`);
    return h('a', { href: `#/users/${id}` }, name);
  }

  const rowOf = (event) => [
    time(event.at),
    h(
      'div',
      { class: 'person' },
      h('span', {}, words(event.type), event.result === 'failure' && [' ', badge('failed', 'bad')]),
      detailOf(event),
    ),
    account(event.actor),
    ...(isOfOne ? [] : [account(event.subject)]),
    h('span', { title: event.user_agent }, `${event.network}, ${deviceOf(event.user_agent)}`),
  ];

  function rowsShown() {
    if (rows.length === 0) return h('p', { class: 'empty' }, 'No events.');
    return table('Audit events', columns, rows.map(rowOf), isOfOne ? {} : { class: 'listed' });
  }

  async function load(cursor) {
    try {
      const page = await session.client.request('GET', '/api/audit-events', {
        query: { ...query, limit: LIMIT, cursor },
        signal,
      });
      await learnNames(page.data);
      rows = cursor === undefined ? page.data : [...rows, ...page.data];
      const older = button('Older events', () => void load(page.next_cursor));
      const pager = page.has_more ? h('div', { class: 'actions pager' }, older) : '';
      place.replaceChildren(rowsShown(), pager);
      if (cursor !== undefined) older.focus();
    } catch (error) {
      if (!signal.aborted) alert.textContent = textOf(error);
    }
  }

  void load();
  const again = () => {
    if (!signal.aborted && element.isConnected && rows.length <= LIMIT) void load();
  };
  if (change) setTimeout(again, STORED_AFTER_MS);
  return element;
}

import { ask } from '../dialog.mjs';
import { announce, button, h, table } from '../dom.mjs';
import { createAlert, textOf } from '../fields.mjs';
import { badge, deviceOf, time } from '../format.mjs';

const COLUMNS = [['Device'], ['Last used'], ['Began', 'wide'], ['']];

/** The sessions of a user, each with a button that ends it. */
export function sessionsPart({ session, user }, signal) {
  const { client } = session;
  const alert = createAlert();
  const place = h('div', {}, h('p', { class: 'soft' }, 'Loading…'));
  const element = h('div', {}, alert, place);
  const mayEnd = session.can('sessions:end') && session.mayActOn(user);

  async function end({ id, user_agent }) {
    await ask({
      title: 'End this session?',
      text: `${deviceOf(user_agent)} is signed out at once.`,
      action: 'End the session',
      isDangerous: true,
      submit: () =>
        session.act(() =>
          client.request('DELETE', '/api/users/{id}/sessions/{sessionId}', {
            path: { id: user.id, sessionId: id },
          }),
        ),
    });
    announce('Session ended');
    await load();
  }

  const rowOf = (one) => [
    h(
      'div',
      { class: 'person' },
      h(
        'span',
        { title: one.user_agent },
        deviceOf(one.user_agent),
        one.current && [' ', badge('this one')],
      ),
      h('span', { class: 'soft' }, one.ip_prefix),
    ),
    time(one.last_used_at),
    time(one.created_at),
    mayEnd && !one.current ? button('End…', () => void end(one).catch(() => {})) : '',
  ];

  async function load() {
    try {
      const { data } = await client.request('GET', '/api/users/{id}/sessions', {
        path: { id: user.id },
        signal,
      });
      place.replaceChildren(
        data.length === 0
          ? h('p', { class: 'empty' }, 'No session is open.')
          : table('Sessions', COLUMNS, data.map(rowOf)),
      );
    } catch (error) {
      if (!signal.aborted) alert.textContent = textOf(error);
    }
  }

  void load();
  return element;
}

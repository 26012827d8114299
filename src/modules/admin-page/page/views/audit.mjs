import { h } from '../dom.mjs';
import { createField } from '../fields.mjs';
import { words } from '../format.mjs';
import { eventsTable } from './events-table.mjs';

/** Everything that was done, by type and account. */
export function auditView({ session, params: first }) {
  const types = session.facts.audit_types.map((type) => [type, words(type)]);
  const fields = [
    createField({ name: 'type', label: 'Event', options: [['', 'Any event'], ...types] }),
    createField({ name: 'subject', label: 'Account', hint: 'Its id' }),
  ];
  const place = h('div', {});
  let control = new AbortController();

  function update(params) {
    control.abort();
    control = new AbortController();
    for (const field of fields) field.value = params.get(field.name) ?? '';
    place.replaceChildren(eventsTable(session, Object.fromEntries(params), control.signal));
  }

  function go(event) {
    event.preventDefault();
    const query = new URLSearchParams();
    for (const { name, value } of fields) if (value.trim() !== '') query.set(name, value.trim());
    location.hash = `#/audit${query.size > 0 ? `?${query}` : ''}`;
  }

  const element = h(
    'section',
    {},
    h('div', { class: 'title' }, h('h1', { tabindex: '-1' }, 'Audit log')),
    h(
      'form',
      { class: 'filters', role: 'search', onsubmit: go, onchange: go },
      ...fields.map((field) => field.element),
    ),
    place,
  );
  update(first);
  return { element, update, close: () => control.abort() };
}

import { button, h } from './dom.mjs';
import { createAlert, createField, showFault } from './fields.mjs';

/** The person has closed a dialog instead of going on. */
export class Cancelled extends Error {}

let count = 0;

/** One dialog may open another one. */
function shell(title, content, onCancel) {
  count += 1;
  const id = `dialog-${count}`;
  const heading = h('h2', { id }, title);
  const dialog = h('dialog', { 'aria-labelledby': id, oncancel: onCancel });
  dialog.append(heading, ...content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks, with `fields` or only for a confirmation. `submit` gets the values; what it throws is shown
 * beside the field, and the dialog stays. Resolves with the result of `submit`; rejects with
 * Cancelled.
 */
export function ask({ title, text, fields: given = [], action, isDangerous, submit }) {
  return new Promise((resolve, reject) => {
    const fields = given.map(createField);
    const alert = createAlert();
    const close = (settle, value) => {
      dialog.close();
      dialog.remove();
      settle(value);
    };
    const cancel = () => close(reject, new Cancelled());
    const go = h('button', { class: isDangerous ? 'danger' : 'primary' }, action);
    async function send(event) {
      event.preventDefault();
      if (go.disabled) return;
      for (const field of fields) field.mark(undefined);
      alert.textContent = '';
      go.disabled = true;
      try {
        const values = Object.fromEntries(fields.map(({ name, value }) => [name, value]));
        close(resolve, await submit(values, { fields, alert }));
      } catch (error) {
        if (!(error instanceof Cancelled)) showFault(error, fields, alert);
      } finally {
        go.disabled = false;
      }
    }
    const no = button('Cancel', cancel);
    const form = h(
      'form',
      { novalidate: true, onsubmit: send },
      ...(text === undefined ? [] : [text].flat().map((one) => h('p', {}, one))),
      ...fields.map(({ element }) => element),
      alert,
      h('div', { class: 'actions' }, no, go),
    );
    const dialog = shell(title, [form], (event) => {
      event.preventDefault();
      cancel();
    });
    // Enter must not do by accident what cannot be undone.
    (fields[0]?.input ?? (isDangerous ? no : go)).focus();
  });
}

/** A dialog with a content of its own; `close` ends it. */
export function showDialog(title, contentOf) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      dialog.close();
      dialog.remove();
      settle(value);
    };
    const cancel = () => end(reject, new Cancelled());
    const content = contentOf((value) => end(resolve, value));
    const row = h('div', { class: 'actions' }, button('Cancel', cancel));
    const dialog = shell(title, [content, row], (event) => {
      event.preventDefault();
      cancel();
    });
    content.querySelector('input')?.focus();
  });
}

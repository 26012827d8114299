import { ClientError, ProblemError } from '@clustered-auth/client';
import { h } from './dom.mjs';

/** Its message is for the person as it is. */
export class Told extends Error {}

let count = 0;

function inputOf({ name, type = 'text', value = '', options, rows, label, hint, ...attributes }) {
  if (options !== undefined) {
    const items = options.map(([key, text]) =>
      h('option', { value: key, selected: key === value }, text),
    );
    return h('select', { name, ...attributes }, ...items);
  }
  const spelling = { autocapitalize: 'none', spellcheck: 'false' };
  if (rows !== undefined) return h('textarea', { name, rows, ...spelling, ...attributes }, value);
  if (type === 'checkbox') return h('input', { name, type, checked: value, ...attributes });
  return h('input', { name, type, value, ...spelling, ...attributes });
}

/** An input with its label, its hint, and a place for the service's error. */
export function createField(options) {
  const { name, label, hint, type } = options;
  count += 1;
  const id = `f${count}`;
  const input = inputOf(options);
  const fault = h('p', { id: `${id}-fault`, class: 'fault', hidden: true });
  const note = hint === undefined ? undefined : h('p', { id: `${id}-hint`, class: 'hint' }, hint);
  input.id = id;
  const describe = (ids) => {
    if (ids.length > 0) input.setAttribute('aria-describedby', ids.join(' '));
    else input.removeAttribute('aria-describedby');
  };
  const hints = note === undefined ? [] : [note.id];
  describe(hints);
  const isBox = type === 'checkbox';
  const text = h('label', { for: id }, label);
  const element = isBox
    ? h('div', { class: 'field box' }, input, text, note, fault)
    : h('div', { class: 'field' }, text, input, note, fault);
  return {
    name,
    element,
    input,
    get value() {
      return isBox ? input.checked : input.value;
    },
    set value(next) {
      if (isBox) input.checked = next;
      else input.value = next;
    },
    /** Undefined: nothing is wrong. */
    mark(message) {
      fault.textContent = message ?? '';
      fault.hidden = message === undefined;
      if (message === undefined) input.removeAttribute('aria-invalid');
      else input.setAttribute('aria-invalid', 'true');
      describe(message === undefined ? hints : [fault.id, ...hints]);
    },
  };
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** The message of a failure: the service's, or the client's where no answer came. */
export function textOf(error) {
  if (error instanceof ProblemError) {
    const { problem, message, retryAfterSeconds, requestId, status } = error;
    const wait = retryAfterSeconds > 0 ? ` Try again in ${Math.ceil(retryAfterSeconds)} s.` : '';
    const id = status >= 500 && requestId !== undefined ? ` (request ${requestId})` : '';
    return `${sentence(problem.detail ?? message)}${wait}${id}`;
  }
  if (error instanceof ClientError || error instanceof Told) return error.message;
  return `This page failed: ${error.message}`;
}

/** Marks the fields that the problem names; the rest goes into `alert`. Focuses what is wrong. */
export function showFault(error, fields, alert) {
  const rest = [];
  let first;
  for (const { pointer, message } of error.errors ?? []) {
    const [, member = ''] = (pointer ?? '').split('/');
    const field = fields.find(({ name }) => name === member);
    if (field === undefined) rest.push(`${pointer} ${message}`);
    else field.mark(sentence(pointer === `/${member}` ? message : `${pointer} ${message}`));
    first ??= field;
  }
  if (first === undefined || rest.length > 0)
    alert.textContent = rest.length > 0 ? rest.join('. ') : textOf(error);
  (first?.input ?? alert).focus();
}

export const createAlert = () => h('p', { class: 'alert', role: 'alert', tabindex: '-1' });

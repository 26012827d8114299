import { button, h } from './dom.mjs';
import { createAlert, createField, showFault, Told } from './fields.mjs';

/** One step: a form whose faults are shown in it. `submit` gets the values. */
export function step(show, { title, text = [], fields: given = [], action, more = [], submit }) {
  const fields = given.map(createField);
  const alert = createAlert();
  const go = h('button', { class: 'primary' }, action);
  async function run(work) {
    for (const field of fields) field.mark(undefined);
    alert.textContent = '';
    go.disabled = true;
    try {
      await work(Object.fromEntries(fields.map(({ name, value }) => [name, value])));
    } catch (error) {
      showFault(error, fields, alert);
    } finally {
      go.disabled = false;
    }
  }
  const onsubmit = (event) => {
    event.preventDefault();
    if (!go.disabled) void run(submit);
  };
  const others = more.map(([label, work]) => button(label, () => void run(work)));
  const form = h(
    'form',
    { novalidate: true, onsubmit },
    ...(title === undefined ? [] : [h('h1', { tabindex: '-1' }, title)]),
    ...[text].flat().map((one) => (typeof one === 'string' ? h('p', {}, one) : one)),
    ...fields.map(({ element }) => element),
    alert,
    h('div', { class: 'actions' }, go),
    others.length === 0 ? undefined : h('div', { class: 'others' }, ...others),
  );
  show(form);
  (fields[0]?.input ?? go).focus();
}

export const CODE = { autocomplete: 'one-time-code', inputmode: 'numeric' };

/** The browser asks for a passkey. */
export async function credentialFor(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  try {
    const credential = await navigator.credentials.get({ publicKey });
    return credential.toJSON();
  } catch (error) {
    throw new Told(`No passkey was given (${error.name}).`);
  }
}

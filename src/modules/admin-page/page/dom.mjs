/** An element. `on…` adds a listener, true sets an empty attribute, false and undefined set none. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(2).filter((child) => child != null && child !== false));
  return element;
}

export const button = (text, onclick, kind = '') =>
  h('button', { type: 'button', class: kind || undefined, onclick }, text);

let clearing;
/** Tells a result: read out by screen readers, and shown for some seconds. */
export function announce(text) {
  const live = document.getElementById('live');
  live.textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => {
    live.textContent = '';
  }, 8000);
}

/** Only for screen readers: others see it. */
export function announceQuietly(text) {
  document.getElementById('quiet').textContent = text;
}

/** One table; `columns`: heading and class of each. Narrow screens leave out the class `wide`. */
export function table(caption, columns, rows, props = {}) {
  const cells = (tag, texts) =>
    texts.map((cell, i) => {
      const scope = tag === 'th' ? 'col' : undefined;
      return h(tag, { class: columns[i][1], scope }, cell);
    });
  const head = h(
    'tr',
    {},
    ...cells(
      'th',
      columns.map(([text]) => text),
    ),
  );
  const body = rows.map((row) => h('tr', {}, ...cells('td', row)));
  return h(
    'table',
    props,
    h('caption', { class: 'hidden' }, caption),
    h('thead', {}, head),
    h('tbody', {}, ...body),
  );
}

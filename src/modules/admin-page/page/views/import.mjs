import { ask, Cancelled } from '../dialog.mjs';
import { announce, button, h, table } from '../dom.mjs';
import { createAlert, createField, showFault, Told, textOf } from '../fields.mjs';
import { followJob, uploadFile } from '../jobs.mjs';

const CONFLICTS = [
  ['skip', 'Leave it as it is'],
  ['update', 'Change what the record names'],
  ['fail', 'Stop the import'],
];
const MATCHES = [
  ['email', 'E-mail'],
  ['external_id', 'External id'],
];
const COUNTS = ['created', 'updated', 'unchanged', 'skipped', 'refused'];
const SHOWN_MAX = 50;

const accept = '.csv,.ndjson,.jsonl,.gz';
const fieldsOf = () => [
  createField({
    name: 'file',
    label: 'File',
    type: 'file',
    accept,
    hint: 'CSV or NDJSON, also gzip.',
  }),
  createField({ name: 'conflict', label: 'A user that exists', options: CONFLICTS }),
  createField({ name: 'match', label: 'Recognised by', options: MATCHES }),
  createField({
    ...{ name: 'dry_run', label: 'Only check, write nothing', type: 'checkbox', value: true },
  }),
];

/** Uploads a file, follows its job, and shows the report. The id of the job is in the hash. */
export function importView({ session, id: first }) {
  const control = new AbortController();
  const fields = fieldsOf();
  const [file, conflict, match, dryRun] = fields;
  const alert = createAlert();
  const go = h('button', { class: 'primary' }, 'Start');
  const place = h('div', {});
  let following = new AbortController();

  async function send() {
    const [chosen] = file.input.files;
    if (chosen === undefined) throw new Told('Choose a file.');
    if (!dryRun.value)
      await ask({
        title: `Import ${chosen.name}?`,
        text: 'Users are created and changed. To see what would happen, only check the file first.',
        action: 'Import',
        isDangerous: true,
        submit: () => true,
      });
    const query = { conflict: conflict.value, match: match.value, dry_run: dryRun.value };
    const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Upload' });
    place.replaceChildren(h('section', { class: 'panel' }, h('p', {}, 'Uploading…'), bar));
    const sent = (share) => {
      bar.value = share;
    };
    const job = await session.act(() =>
      uploadFile({ session, file: chosen, query, sent, signal: control.signal }),
    );
    history.replaceState(null, '', `#/import/${job.id}`);
    follow(job.id);
  }

  async function onsubmit(event) {
    event.preventDefault();
    if (go.disabled) return;
    alert.textContent = '';
    go.disabled = true;
    try {
      await send();
    } catch (error) {
      place.replaceChildren();
      if (!(error instanceof Cancelled)) showFault(error, fields, alert);
    } finally {
      go.disabled = false;
    }
  }

  function follow(id) {
    following.abort();
    following = new AbortController();
    const { signal } = following;
    const panel = h('section', { class: 'panel' });
    place.replaceChildren(panel);
    const shown = jobPanel(session, id, panel, signal);
    followJob({ session, id, signal, heard: shown.show })
      .then(shown.end)
      .catch((error) => {
        if (!signal.aborted) alert.textContent = textOf(error);
      });
  }

  const element = h(
    'section',
    {},
    h('div', { class: 'title' }, h('h1', { tabindex: '-1' }, 'Import users')),
    h(
      'form',
      { class: 'panel narrow', novalidate: true, onsubmit },
      ...fields.map((field) => field.element),
      alert,
      h('div', { class: 'actions' }, go),
    ),
    place,
  );
  if (first !== undefined) follow(first);
  return {
    element,
    close() {
      control.abort();
      following.abort();
    },
  };
}

/** State, progress and counts of one job; the report at its end. */
function jobPanel(session, id, panel, signal) {
  const title = h('h2', {}, 'Import');
  const bar = h('progress', { 'aria-label': 'Progress' });
  const counts = h('dl', { class: 'counts' });
  const cancel = button('Stop the import', () => void stop());
  panel.append(title, bar, counts, h('div', { class: 'actions' }, cancel));

  async function stop() {
    cancel.disabled = true;
    await session.client
      .request('POST', '/api/jobs/{id}/cancel', { path: { id } })
      .catch((error) => announce(textOf(error)));
  }

  function show(job) {
    const { total = 0, done = 0 } = job.progress;
    title.textContent = `Import: ${job.cancelling ? 'stopping' : job.state}`;
    bar.max = Math.max(total, 1);
    bar.value = done;
    const all = [
      ['records', `${done} of ${total}`],
      ...COUNTS.map((name) => [name, job.progress[name] ?? 0]),
    ];
    counts.replaceChildren(
      ...all.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, String(value)))),
    );
  }

  async function end(job) {
    show(job);
    cancel.remove();
    announce(`Import ${job.state}`);
    if (job.failure !== null) panel.append(h('p', { class: 'alert' }, job.failure.message));
    if (job.progress.reported) await showReport();
  }

  /** The service asks for a recent login here; the person may also sign in again later. */
  async function showReport() {
    try {
      const report = await session.act(() =>
        session.client.request('GET', '/api/jobs/{id}/report', { path: { id }, signal }),
      );
      panel.append(reportOf(await report.text(), id));
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
      const again = button('Show the records that were not taken', () => {
        again.remove();
        showReport().catch((fault) => announce(textOf(fault)));
      });
      panel.append(again);
    }
  }

  return { show, end };
}

const columns = [['Line'], ['Code', 'wide'], ['Why']];

function reportOf(text, id) {
  const lines = text.split('\n').filter((line) => line !== '');
  const rows = lines.slice(0, SHOWN_MAX).map((line) => {
    const { line: number, code, message } = JSON.parse(line);
    return [String(number ?? ''), h('code', {}, code), message ?? code];
  });
  // The records are as they were sent, with passwords: only a file that the person keeps has them.
  const href = URL.createObjectURL(new Blob([text], { type: 'application/x-ndjson' }));
  const more = lines.length > SHOWN_MAX ? `The first ${SHOWN_MAX} of ${lines.length} lines. ` : '';
  return h(
    'div',
    {},
    h('h3', {}, 'Records that were not taken'),
    table('Records that were not taken', columns, rows),
    h(
      'p',
      {},
      more,
      h('a', { href, download: `import-${id}.ndjson` }, 'Save the report'),
      ' with the records, to put right and import again.',
    ),
  );
}

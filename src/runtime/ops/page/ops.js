// The ops page: draws what the primary sends. No framework; uPlot draws the charts.
const byId = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const element = (name, text = '', className = '') => {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
};

/** Each chart's lines: name in the data, label, colour. */
const CHARTS = [
  [
    'Requests per second',
    [
      ['ok', 'answered', '--good'],
      ['clientErrors', '4xx', '--busy'],
      ['serverErrors', '5xx', '--bad'],
    ],
  ],
  [
    'Latency, ms',
    [
      ['p50', 'p50', '--good'],
      ['p95', 'p95', '--busy'],
      ['p99', 'p99', '--bad'],
    ],
  ],
  [
    'Reads per second, by where they were answered',
    [
      ['local', 'local entry', '--good'],
      ['redis', 'Redis', '--accent'],
      ['mongodb', 'MongoDB', '--busy'],
    ],
  ],
  [
    'Refused per second, and queues',
    [
      ['refused', 'refused', '--bad'],
      ['hashQueue', 'hash queue', '--busy'],
      ['inFlight', 'in flight', '--accent'],
    ],
  ],
];
const CHART_HEIGHT = 150;
const LINES_MAX = 200;
const HISTORY_SECONDS = 3600;

const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 5);

let series = [];
let rows = [];
let charts = [];
let before;

function drawCharts() {
  for (const { plot } of charts) plot.destroy();
  byId('charts').replaceChildren();
  const axis = {
    stroke: css('--soft'),
    grid: { stroke: css('--line'), width: 1 },
    ticks: { show: false },
  };
  // All figures first: the width of each depends on their number.
  const figures = CHARTS.map(([title]) => {
    const figure = element('figure');
    figure.append(element('figcaption', title));
    byId('charts').append(figure);
    return figure;
  });
  charts = CHARTS.map(([, lines], index) => {
    const figure = figures[index];
    const plot = new window.uPlot(
      {
        width: figure.clientWidth,
        height: CHART_HEIGHT,
        cursor: { y: false },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [
          { ...axis, size: 30, space: 70, values: (_plot, times) => times.map(clock) },
          { ...axis, size: 52 },
        ],
        series: [
          { value: (_plot, at) => (at == null ? '–' : clock(at)) },
          ...lines.map(([, label, colour]) => ({
            label,
            stroke: css(colour),
            width: 1.5,
            points: { show: false },
            value: (_plot, value) => (value == null ? '–' : value.toFixed(1)),
          })),
        ],
      },
      [[], ...lines.map(() => [])],
      figure,
    );
    return { plot, names: lines.map(([name]) => name), figure };
  });
  fillCharts();
}

function fillCharts() {
  const now = Date.now() / 1000;
  const seconds = Number(byId('span').value);
  while (rows.length > 0 && rows[0][0] < now - HISTORY_SECONDS) rows.shift();
  const column = (name) => rows.map((row) => row[series.indexOf(name)]);
  for (const { plot, names } of charts) {
    plot.setData([column('at'), ...names.map(column)], false);
    plot.batch(() => {
      plot.setScale('x', { min: now - seconds, max: now });
    });
    // Without a pointer the legend shows the last values.
    if (rows.length > 0) plot.setLegend({ idx: rows.length - 1 });
  }
}

const age = (seconds) =>
  seconds < 120
    ? `${seconds} s`
    : seconds < 7200
      ? `${Math.round(seconds / 60)} min`
      : seconds < 172_800
        ? `${Math.round(seconds / 3600)} h`
        : `${Math.round(seconds / 86_400)} d`;
const unit = (value, name, digits = 0) =>
  value === undefined ? '–' : `${value.toFixed(digits)} ${name}`;

/** Rows stay the same elements, so that the keyboard's focus stays where it is. */
const rowsOf = new Map();
function showFleet(fleet) {
  const { wanted, ready, workers } = fleet;
  const state = byId('state');
  state.textContent = `${ready} of ${wanted} workers ready`;
  state.className = ready < wanted ? 'bad' : '';
  for (const worker of workers) {
    const row = rowsOf.get(worker.id) ?? newRow(worker);
    const [, stateCell, ...cells] = row.children;
    stateCell.firstChild.textContent = worker.state;
    stateCell.firstChild.className = worker.state;
    const texts = [
      age(worker.ageSeconds),
      unit(worker.rssMb, 'MiB'),
      unit(worker.heapUsedMb, 'MiB'),
      unit(worker.loopDelayP99Ms, 'ms', 1),
      unit(worker.utilisation && worker.utilisation * 100, '%'),
      unit(worker.connections, ''),
    ];
    for (const [index, text] of texts.entries()) cells[index].textContent = text;
    row.querySelector('button').disabled = worker.state !== 'ready';
  }
  const ids = new Set(workers.map(({ id }) => id));
  for (const [id, row] of rowsOf)
    if (!ids.has(id)) {
      row.remove();
      rowsOf.delete(id);
    }
}

function newRow({ id, pid }) {
  const row = element('tr');
  const state = element('td');
  state.append(element('b'));
  const action = element('td');
  const drain = element('button', 'Drain');
  drain.type = 'button';
  drain.setAttribute('aria-label', `Drain worker ${id}`);
  drain.addEventListener('click', () => ask('drain', String(id)));
  action.append(drain);
  row.append(
    element('td', `${id} (pid ${pid})`),
    state,
    ...Array.from({ length: 6 }, () => element('td', '', 'n')),
    action,
  );
  rowsOf.set(id, row);
  byId('workers').append(row);
  return row;
}

function showNow(now) {
  const list = (counts) => {
    const shown = Object.entries(counts).filter(([, count]) => count > 0);
    return shown.length === 0
      ? 'none'
      : shown.map(([name, count]) => `${name} ${count}`).join(', ');
  };
  const isTold = now.inFlight !== undefined;
  const known = (value, text = String) => (value === undefined ? 'unknown' : text(value));
  const signingKey = () => {
    const { signingKeyAgeSeconds: old, signingKeyNextSeconds: next } = now;
    if (old === undefined) return isTold ? 'one shared secret, not rotated' : 'unknown';
    return `${age(Math.round(old))}${next === undefined ? '' : `, next in ${age(Math.round(next))}`}`;
  };
  const redis = (inUse) => {
    if (inUse > 0) return `in use by ${inUse} workers`;
    return now.breakersOpen > 0 ? 'unreachable: reads go to MongoDB' : 'not used';
  };
  const breaker = (open) => (open === 0 ? 'closed' : `open in ${open} workers`);
  const entries = [
    ['Redis', known(now.redisEntriesInUse, redis), now.breakersOpen > 0],
    ['Circuit breaker', known(now.breakersOpen, breaker), now.breakersOpen > 0],
    ['Refused since the start, by reason', list(now.refused)],
    ['Password hashes', `${known(now.hashQueue)} waiting, ${now.hashes} done`],
    ['Signing key', signingKey()],
    ['Jobs', list(now.jobs)],
    [
      'Background queue',
      `${known(now.backgroundWaiting)} waiting, ${known(now.mailsWaiting)} mails`,
    ],
    ['Requests in flight', known(now.inFlight)],
  ];
  const text = JSON.stringify(entries);
  if (text === before) return;
  before = text;
  byId('now').replaceChildren(
    ...entries.map(([name, value, bad]) => {
      const entry = element('div');
      entry.append(element('dt', name), element('dd', value, bad ? 'bad' : ''));
      return entry;
    }),
  );
}

function addLine({ time, level, msg, worker, detail }) {
  const line = element('li');
  const at = element('time', new Date(time).toLocaleTimeString());
  at.dateTime = time;
  line.append(
    at,
    element('span', `${level} `, level),
    `${worker === undefined ? '' : `worker ${worker}: `}${msg} `,
  );
  if (detail !== undefined) line.append(element('small', detail));
  const lines = byId('lines');
  lines.prepend(line);
  while (lines.children.length > LINES_MAX) lines.lastChild.remove();
}

function start(data) {
  ({ series, rows } = data);
  byId('lines').replaceChildren();
  for (const line of data.lines) addLine(line);
  byId('controls').hidden = data.fleet === null;
  byId('pm2').hidden = data.fleet !== null;
  if (data.fleet === null) byId('state').textContent = 'connected';
  else showFleet(data.fleet);
  if (data.now !== null) showNow(data.now);
  drawCharts();
}

const events = new EventSource('/ops/events');
const on = (name, handle) => events.addEventListener(name, ({ data }) => handle(JSON.parse(data)));
on('start', start);
on('fleet', showFleet);
on('line', addLine);
on('point', ({ row, now }) => {
  rows.push(row);
  showNow(now);
  if (!document.hidden) fillCharts();
});
on('full', () => {
  byId('state').textContent = 'too many pages are open: close one';
  events.close();
});
events.onerror = () => {
  byId('state').className = 'bad';
  byId('state').textContent = 'no connection, trying again';
};

let token = '';
let asked = ['', ''];
function ask(action, value) {
  const questions = {
    reload:
      'Replace all workers, one by one? Each successor is ready before its predecessor drains.',
    scale: `Change the number of workers by ${value}?`,
    drain: `Drain worker ${value}? A successor is ready first; then its requests are finished.`,
  };
  asked = [action, value];
  byId('question').textContent = questions[action];
  byId('refusal').textContent = '';
  byId('token').value = token;
  byId('confirm').showModal();
}

async function act() {
  // In the memory of this page only.
  token = byId('token').value;
  const [action, value] = asked;
  try {
    const answer = await fetch(`/ops/act?${new URLSearchParams({ action, value })}`, {
      method: 'POST',
      headers: { 'X-Ops-Token': token },
    });
    if (answer.ok) return byId('confirm').close();
    if (answer.status === 403) token = '';
    byId('refusal').textContent = (await answer.json()).error;
  } catch {
    byId('refusal').textContent = 'no answer: the service is not reachable';
  }
}

for (const button of document.querySelectorAll('#controls button'))
  button.addEventListener('click', () => ask(button.dataset.action, button.dataset.value));
byId('cancel').addEventListener('click', () => byId('confirm').close());
byId('confirm').addEventListener('submit', (event) => {
  event.preventDefault();
  void act();
});
byId('span').addEventListener('change', fillCharts);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawCharts);
let resizing;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const { plot, figure } of charts)
      plot.setSize({ width: figure.clientWidth, height: CHART_HEIGHT });
  }, 100);
});

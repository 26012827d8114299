import { createHash } from 'node:crypto';
import { ms } from '../live';
import { latencyAt, refusals, sum, type Timeline } from '../timeline';
import { chartHtml, escapeHtml, shown } from './chart';
import { chartsOf } from './charts';
import { grouped, measured } from './points';
import type { Report } from './report';
import { STYLE } from './style';
import { kindTable, secondTable, statusTable, table } from './tables';

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
/** Nothing but its own style: no script, no image, no request. */
const POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'`;

/** One file that needs nothing else. */
export function reportHtml(report: Report): string {
  const { options, timeline, limit, loop, at } = report;
  const title = `Load test: ${options.scenario}`;
  const seconds = timeline.seconds();
  const drawn = grouped(measured(seconds, loop.kind, options.durationSeconds));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><header><h1>${escapeHtml(title)}</h1>
<p class="soft">${escapeHtml(subtitle(report))}</p></header>
<main><section class="limit" id="limit"><h2>What limited it</h2><p>${escapeHtml(limit.sentence)}</p></section>
${tiles(timeline)}
<div class="charts">${chartsOf(report, drawn).map(chartHtml).join('\n')}</div>
<section id="kinds"><h2>By kind of request</h2>${kindTable(timeline)}</section>
<div class="charts"><section id="statuses"><h2>Answers by status</h2>${statusTable(timeline.totals())}</section>
<section id="evidence"><h2>What was seen of the resources</h2><div class="facts">${table(
    ['', ''],
    limit.evidence.map(({ name, value }) => [name, value]),
  )}</div></section></div>
<section><details><summary>Every second</summary>${secondTable(grouped(seconds))}</details></section></main>
<footer class="soft"><p>Latencies of an open loop count from the time that a request was due, those of a closed loop from its sending. Ended ${at.toISOString().slice(0, 19).replace('T', ' ')} UTC.</p></footer>
</body></html>
`;
}

function subtitle({ options, loop, timeline }: Report): string {
  const { target, users, processes, durationSeconds } = options;
  const how =
    loop.kind === 'closed'
      ? `closed loop, ${loop.connections} connections`
      : `open loop, ${loop.rate.toLocaleString('en')} requests/s`;
  const ran = Math.min(durationSeconds, timeline.totals().seconds);
  const length = ran < durationSeconds ? `${ran} of ${durationSeconds} s` : `${ran} s`;
  return `${target} · ${how} · ${length} · up to ${users} users · ${processes === 1 ? 'one load process' : `${processes} load processes`}`;
}

function tiles(timeline: Timeline): string {
  const totals = timeline.totals();
  const { latency, answers } = totals;
  const good = answers - refusals(totals.statuses);
  const failed = refusals(totals.statuses) + sum(totals.failures);
  const all = Math.max(1, answers + sum(totals.failures));
  const facts = [
    ['Good answers a second', shown(Math.round(good / Math.max(1, totals.seconds)))],
    ['Median latency', ms(latencyAt(latency, 0.5))],
    ['p99 latency', ms(latencyAt(latency, 0.99))],
    ['p99.9 latency', ms(latencyAt(latency, 0.999))],
    ['Errors', `${shown((100 * failed) / all)} %`],
  ];
  return `<dl class="tiles">${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>`;
}

import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { UsageError } from '../../src/app/cli/run';
import type { Deployment } from './deployment';
import { type Limit, limitOf } from './limit';
import { liveOn, ms } from './live';
import { type Generator, type LoadPlan, startGenerator } from './load/generator';
import { SILENT } from './load/recorder';
import { watchMachine } from './machine';
import { watchMetrics } from './metrics';
import type { RunOptions } from './options';
import { reportHtml } from './report/html';
import { trafficOf } from './scenarios';
import { assertReady, isHere, openSessions } from './target';
import { latencyAt, refusals, sum, type Timeline } from './timeline';

const TIMEOUT_SECONDS = 10;
/** A target that answers nothing for so long is gone. */
const SILENT_SECONDS = 10;

/** Measures until the end or `signal`, and writes the report. Resolves with the exit code. */
export async function runLoad(
  options: RunOptions,
  deployment: Deployment,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<number> {
  await assertReady(options.target);
  const minted = await openSessions(deployment, options, options.durationSeconds);
  const generator = await startGenerator(options.processes);
  try {
    const kinds = trafficOf(options.mix, minted.users);
    const { durationSeconds: seconds, rate, connections } = options;
    const loop =
      rate === undefined
        ? ({ kind: 'closed', connections } as const)
        : ({ kind: 'open', rate } as const);
    say(opening(options, minted.users.length));
    const plan = { url: options.target, kinds, seconds, timeoutSeconds: TIMEOUT_SECONDS, loop };
    const measured = await measure(generator, plan, options, signal);
    const { timeline } = measured;
    const limit = limitOf({
      ...{ ...measured, totals: timeline.totals(), seconds: timeline.seconds(), loop },
      durationSeconds: seconds,
    });
    const at = new Date();
    writeFileSync(options.report, reportHtml({ options, ...measured, limit, loop, at }));
    say(summary(timeline, limit, options.report));
    if (signal.aborted) return 130;
    if (!measured.isSilent) return 0;
    say(`${options.target} stopped answering.`);
    return 1;
  } finally {
    await generator.close();
    await minted.remove();
  }
}

/** An earlier report stays until the new one is complete. */
export function requireWritable(file: string): void {
  const isNew = !existsSync(file);
  try {
    closeSync(openSync(file, 'a'));
    if (isNew) rmSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`--report: ${file} cannot be written (${code})`);
  }
}

async function measure(
  generator: Generator,
  plan: LoadPlan,
  options: RunOptions,
  signal: AbortSignal,
) {
  const live = liveOn(process.stderr, plan.seconds);
  const machine = isHere(options.target) ? watchMachine() : undefined;
  const metrics = await watchMetrics(options.metrics);
  const stop = () => generator.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    let isSilent = false;
    const timeline = await generator.run(plan, (present) => {
      live.show(present);
      if (isSilent || !hasFallenSilent(present, plan.seconds)) return;
      isSilent = true;
      generator.stop(SILENT);
    });
    const machineBusy = machine?.();
    await metrics.stop();
    // A short load ends before.
    isSilent ||= timeline.totals().answers === 0;
    return { timeline, isSilent, machineBusy, readings: metrics.readings };
  } finally {
    live.end();
    signal.removeEventListener('abort', stop);
  }
}

/** While requests are sent: after that, a single one without an answer is waited for. */
function hasFallenSilent(timeline: Timeline, sendingSeconds: number): boolean {
  const last = timeline.recent(SILENT_SECONDS);
  return (
    last.length === SILENT_SECONDS &&
    last.every(({ answers, second }) => answers === 0 && second < sendingSeconds)
  );
}

function opening(
  { target, scenario, rate, connections, durationSeconds }: RunOptions,
  users: number,
) {
  const loop =
    rate === undefined
      ? `closed loop of ${connections} connections`
      : `open loop of ${rate.toLocaleString('en')} requests/s`;
  return `${scenario} against ${target}: ${loop}, ${users} users, ${durationSeconds} s. Ctrl-C ends it early and writes the report.`;
}

function summary(timeline: Timeline, limit: Limit, report: string): string {
  const totals = timeline.totals();
  const { latency } = totals;
  const shares = [0.5, 0.9, 0.99].map((share) => ms(latencyAt(latency, share)));
  const failed = refusals(totals.statuses) + sum(totals.failures);
  const good = totals.answers - refusals(totals.statuses);
  const perSecond = good / Math.max(1, totals.seconds);
  const count = (value: number) => value.toLocaleString('en');
  return [
    `${count(good)} good answers, ${count(Math.round(perSecond))} a second, p50 ${shares[0]}, p90 ${shares[1]}, p99 ${shares[2]}, ${count(failed)} errors`,
    `Limit: ${limit.sentence}`,
    `Report: ${report}`,
  ].join('\n');
}

import { onInterrupt } from '../../dev/interrupt';
import { RefusedError, refuseProduction } from '../../dev/staging';
import { UsageError } from '../../src/app/cli/run';
import { type MongoProxy, startMongoProxy } from '../mongo-proxy';
import { refuseForeign } from './belongs';
import { createMirrors, type Mirror, removeMirrors, renewMirrors } from './mirrors';
import { type ChaosOptions, readOptions, USAGE } from './options';
import { type ChaosScenario, SCENARIOS, type Stage } from './scenarios';
import { readyWithin } from './staging';
import { type Findings, startTraffic } from './traffic';

const OUT_OF_TIME = 3;
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;
const STARTS_MS = 90_000;

interface Row {
  readonly scenario: string;
  readonly reads: number | string;
  readonly 'reads failed': number | string;
  readonly writes: number | string;
  readonly 'writes failed': number | string;
  readonly 'worst ms': number | string;
  readonly lost: number | string;
  readonly stale: number | string;
  readonly promise: string;
  readonly held: 'yes' | 'NO' | 'not run';
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
const say = (line: string) => void process.stdout.write(`${line}\n`);

function holds({ mayFail }: ChaosScenario, { reads, ...found }: Findings): boolean {
  if (found.lost > 0 || found.stale > 0) return false;
  if (mayFail === 'requests') return true;
  return reads.failed === 0 && (mayFail === 'writes' || found.writesFailed === 0);
}

async function run(
  scenario: ChaosScenario,
  stage: Stage,
  mirrors: readonly Mirror[],
): Promise<Row> {
  const { target, ratePerSecond } = stage.options;
  say(`${scenario.name}: ${scenario.does}`);
  const traffic = startTraffic(target, mirrors, ratePerSecond);
  const error = await scenario.disturb(stage).then(() => undefined, messageOf);
  stage.proxy?.pass();
  const found = await traffic.stop(stage.signal);
  if (error !== undefined) say(`  ${error}`);
  const { reads, writes, writesFailed, slowestWriteMs, lost, stale } = found;
  if (reads.failed > 0)
    say(
      `  reads that failed: ${JSON.stringify({ ...reads.others, unanswered: reads.unanswered })}`,
    );
  return {
    scenario: scenario.name,
    ...{ reads: reads.planned, 'reads failed': reads.failed },
    ...{ writes, 'writes failed': writesFailed },
    'worst ms': Math.round(Math.max(reads.maxMs, slowestWriteMs)),
    ...{ lost, stale, promise: scenario.promise },
    held: error === undefined && holds(scenario, found) ? 'yes' : 'NO',
  };
}

function table(rows: readonly Row[]): string {
  const head = Object.keys(rows[0] ?? {});
  const lines = [head, ...rows.map((row) => Object.values(row).map(String))];
  const widths = head.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

type Undo = () => Promise<void>;

/** `restoring`: what is undone on every way out, the last first. */
async function chaos(
  options: ChaosOptions,
  restoring: Undo[],
  signal: AbortSignal,
): Promise<boolean> {
  const { target, only } = options;
  let proxy: MongoProxy | undefined;
  if (options.proxy !== undefined) {
    proxy = await startMongoProxy(options.proxy.uri, options.proxy.port);
    restoring.push(proxy.close);
    say(`a proxy to the database listens on 127.0.0.1:${options.proxy.port} until the end`);
  }
  if ((await readyWithin(target, STARTS_MS, signal)) === undefined)
    throw new RefusedError(`${target} is not ready`);
  await refuseProduction(target);
  await refuseForeign(options, signal);
  const unknown = only.filter((name) => !SCENARIOS.some((one) => one.name === name));
  if (unknown.length > 0) throw new UsageError(`There is no scenario ${unknown.join(', ')}.`);
  const mirrors: Mirror[] = [];
  restoring.push(() => removeMirrors(target, mirrors));
  // Before the removal, which needs the database.
  restoring.push(async () => proxy?.pass());
  await createMirrors(target, mirrors, signal);
  const rows: Row[] = [];
  for (const scenario of SCENARIOS.filter(({ name }) => only.length === 0 || only.includes(name))) {
    const lacking = scenario.lacks({ options, proxy, signal });
    if (lacking === undefined) await renewMirrors(target, mirrors);
    rows.push(
      lacking === undefined
        ? await run(scenario, { options, proxy, signal }, mirrors)
        : notRun(scenario, lacking),
    );
  }
  say(`\n${table(rows)}`);
  // Without --only, what the options do not give is left out knowingly.
  const left = only.length === 0 ? [] : rows.filter(({ held }) => held === 'not run');
  for (const { scenario, promise } of left) say(`not run: ${scenario} ${promise}`);
  return left.length === 0 && rows.every(({ held }) => held !== 'NO');
}

const notRun = ({ name }: ChaosScenario, lacking: string): Row => ({
  ...{ scenario: name, reads: '-', 'reads failed': '-', writes: '-', 'writes failed': '-' },
  ...{ 'worst ms': '-', lost: '-', stale: '-' },
  ...{ promise: `needs ${lacking}`, held: 'not run' },
});

/** Why the run ended early, and the exit code for it. */
class Ended extends Error {
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** Ends the run at a signal or when its time is over. At the next signal, nothing is restored. */
function watchEnd(maxMs: number): { readonly signal: AbortSignal; close(): void } {
  const ending = new AbortController();
  const end = (message: string, code: number) => {
    if (ending.signal.aborted) return;
    say(`${message}: restoring the target`);
    ending.abort(new Ended(message, code));
  };
  const timer = setTimeout(() => end('out of time', OUT_OF_TIME), maxMs);
  onInterrupt(
    (signal) => end(`ended by ${signal}`, INTERRUPTED[signal]),
    () => process.exit(INTERRUPTED.SIGINT),
  );
  return { signal: ending.signal, close: () => clearTimeout(timer) };
}

/** Resolves with what could not be undone. */
async function restore(restoring: readonly Undo[]): Promise<readonly string[]> {
  const left: string[] = [];
  for (const undo of restoring.toReversed())
    await undo().catch((error: unknown) => left.push(messageOf(error)));
  return left;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    say(USAGE);
    return 0;
  }
  const restoring: Undo[] = [];
  const { signal, close } = watchEnd(options.maxMs);
  let code = 1;
  let failure: unknown;
  try {
    code = (await chaos(options, restoring, signal)) ? 0 : 1;
  } catch (error) {
    failure = signal.aborted ? signal.reason : error;
  }
  close();
  const left = await restore(restoring);
  for (const line of left) say(line);
  if (failure instanceof Ended) return failure.code;
  if (failure !== undefined) throw failure;
  return left.length > 0 ? 1 : code;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    process.stderr.write(isUsage ? `${messageOf(error)}\n\n${USAGE}` : `${messageOf(error)}\n`);
    process.exit(isUsage ? 64 : error instanceof RefusedError ? 69 : 70);
  },
);

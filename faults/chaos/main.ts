import { RefusedError, refuseProduction } from '../../dev/staging';
import { type MongoProxy, startMongoProxy } from '../mongo-proxy';
import { refuseForeign } from './belongs';
import { type ChaosOptions, ChaosUsageError, readOptions, USAGE } from './options';
import { type ChaosScenario, SCENARIOS, type Stage } from './scenarios';
import { readyWithin } from './staging';
import { createMirrors, type Findings, removeMirrors, startTraffic } from './traffic';

const OUT_OF_TIME = 3;
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

const say = (line: string) => void process.stdout.write(`${line}\n`);

function holds({ mayFail }: ChaosScenario, { reads, ...found }: Findings): boolean {
  if (found.lost > 0 || found.stale > 0) return false;
  if (mayFail === 'requests') return true;
  return reads.failed === 0 && (mayFail === 'writes' || found.writesFailed === 0);
}

async function run(scenario: ChaosScenario, stage: Stage, mirrors: Mirrors): Promise<Row> {
  const { target, ratePerSecond } = stage.options;
  say(`${scenario.name}: ${scenario.does}`);
  const traffic = startTraffic(target, mirrors, ratePerSecond);
  const error = await scenario.disturb(stage).then(
    () => undefined,
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
  );
  stage.proxy?.pass();
  const found = await traffic.stop();
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

type Mirrors = Awaited<ReturnType<typeof createMirrors>>;

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

/** `restoring`: what is undone on every way out. */
async function chaos(options: ChaosOptions, restoring: (() => Promise<void>)[]): Promise<boolean> {
  const { target, only } = options;
  let proxy: MongoProxy | undefined;
  if (options.proxy !== undefined) {
    proxy = await startMongoProxy(options.proxy.uri, options.proxy.port);
    restoring.push(proxy.close);
    say(`a proxy to the database listens on 127.0.0.1:${options.proxy.port} until the end`);
  }
  if ((await readyWithin(target, STARTS_MS)) === undefined)
    throw new RefusedError(`${target} is not ready`);
  await refuseProduction(target);
  await refuseForeign(options);
  const unknown = only.filter((name) => !SCENARIOS.some((one) => one.name === name));
  if (unknown.length > 0) throw new ChaosUsageError(`no scenario is named ${unknown.join(', ')}`);
  const mirrors = await createMirrors(target);
  restoring.push(() => removeMirrors(target, mirrors));
  const rows: Row[] = [];
  for (const scenario of SCENARIOS.filter(({ name }) => only.length === 0 || only.includes(name))) {
    const lacking = scenario.lacks({ options, proxy });
    rows.push(
      lacking === undefined
        ? await run(scenario, { options, proxy }, mirrors)
        : notRun(scenario, lacking),
    );
  }
  say(`\n${table(rows)}`);
  return rows.every(({ held }) => held !== 'NO');
}

const notRun = ({ name }: ChaosScenario, lacking: string): Row => ({
  ...{ scenario: name, reads: '-', 'reads failed': '-', writes: '-', 'writes failed': '-' },
  ...{ 'worst ms': '-', lost: '-', stale: '-' },
  ...{ promise: `needs ${lacking}`, held: 'not run' },
});

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    say(USAGE);
    return 0;
  }
  const restoring: (() => Promise<void>)[] = [];
  const restore = async () => {
    for (const undo of restoring.splice(0).reverse()) await undo().catch(() => undefined);
  };
  const end = (code: number) => void restore().finally(() => process.exit(code));
  const timer = setTimeout(() => {
    say('out of time: the target is restored');
    end(OUT_OF_TIME);
  }, options.maxMs);
  process.once('SIGINT', () => end(130)).once('SIGTERM', () => end(143));
  try {
    return (await chaos(options, restoring)) ? 0 : 1;
  } finally {
    clearTimeout(timer);
    await restore();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isUsage =
      error instanceof ChaosUsageError ||
      (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (isUsage === true) process.stderr.write(USAGE);
    process.exit(isUsage === true ? 64 : error instanceof RefusedError ? 69 : 70);
  },
);

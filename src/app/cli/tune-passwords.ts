import { availableParallelism } from 'node:os';
import { type Config, loadConfig } from '../../kernel/config/config';
import {
  argon2Source,
  described,
  environmentOf,
  type Measured,
  tunePasswords,
} from '../../modules/auth';
import { workerCount } from '../../runtime/primary/cores';
import { usableMemoryBytes } from '../hash-memory';
import { numberOf, parseArguments } from './arguments';
import { UsageError } from './run';

const KIB_PER_MIB = 1024;

/** `passwords tune`. */
export async function tune(args: readonly string[]): Promise<void> {
  const { words, options } = parseArguments(args, { 'target-ms': 'string' });
  if (words.length > 0) throw new UsageError(`tune does not take ${JSON.stringify(words[0])}.`);
  const targetMs = numberOf(options, 'target-ms', { least: 10, most: 5000, fallback: 250 });
  const config = loadConfig();
  const cores = availableParallelism();
  const measured = await tunePasswords({
    targetMs,
    concurrency: config.auth.hashConcurrency,
    ...{ workers: workerCount(config.server.workers), cores },
    memoryMaxKib: usableMemoryBytes() / KIB_PER_MIB / 4,
    progress: (what) => process.stderr.write(`measuring ${what} …\n`),
  });
  process.stdout.write(tableOf(measured, { targetMs, cores, config }));
}

function tableOf(
  measured: readonly Measured[],
  { targetMs, cores, config }: { targetMs: number; cores: number; config: Config },
): string {
  const { hashConcurrency, hashQueueMax } = config.auth;
  const workers = workerCount(config.server.workers);
  const rate = (perSecond: number) => `${perSecond.toFixed(perSecond < 10 ? 1 : 0)}/s`;
  const rows = measured.map((one) => [
    `${one.isProposed ? '*' : ' '} ${described(one.settings)}`,
    `${Math.round(one.aloneMs)} ms`,
    rate(one.perSecond),
    rate(one.hostPerSecond),
    `${(hashQueueMax / one.perSecond).toFixed(1)} s`,
    one.memoryKib === 0 ? '–' : `${Math.round(one.memoryKib / KIB_PER_MIB)} MiB`,
  ]);
  const head = ['  hash', 'alone', 'a worker', 'this host', 'full queue', 'memory at most'];
  const widths = head.map((_, at) =>
    Math.max(...[head, ...rows].map((row) => row[at]?.length ?? 0)),
  );
  const lineOf = (row: readonly string[]) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('   ')
      .trimEnd();
  const proposals = measured
    .filter(({ isProposed }) => isProposed)
    .map(({ settings, aloneMs }) => {
      const late =
        aloneMs > targetMs * 1.1
          ? `# The least that is allowed: it takes more than the target.\n`
          : '';
      return `${late}${environmentOf(settings).join('\n')}\n`;
    });
  return `Node ${process.version}, ${cores} cores, ${workers} workers with HASH_CONCURRENCY=${hashConcurrency}, HASH_QUEUE_MAX=${hashQueueMax}; argon2id by ${argon2Source}.
Proposed (*) is the strongest of each kind within ${targetMs} ms. Rates are hashes per second; a login is one hash.

${[head, ...rows].map(lineOf).join('\n')}

For .env, either

${proposals.join('\nor\n\n')}`;
}

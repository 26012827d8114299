import { availableParallelism } from 'node:os';
import { type Config, loadConfig } from '../../kernel/config/config';
import {
  argon2Source,
  buildList,
  type CompromisedList,
  described,
  environmentOf,
  falsePositiveRate,
  ListError,
  type Measured,
  openCompromisedList,
  PREFIX_BYTES,
  tunePasswords,
} from '../../modules/auth';
import { workerCount } from '../../runtime/primary/cores';
import { usableMemoryBytes } from '../hash-memory';
import { parseArguments, readSecretLine } from './arguments';
import { progressOn } from './progress';
import { asksForHelp, exitCodesHelp, runCli, UsageError, unknownCommand } from './run';

const HELP = `Usage: npm run passwords -- COMMAND [OPTIONS]
In an image without npm: node dist/cli/passwords.js COMMAND …

  tune [--target-ms N]        measures bcrypt and argon2id on this machine, and proposes settings
                              for a time per hash (250 ms unless given), with the logins per second
                              that the hash queue can then serve
  build-list INPUT… --out FILE   makes the list for COMPROMISED_PASSWORDS_FILE
    --min-count N             leaves out hashes that were seen less often (1)
    --prefix-bytes N          keeps 4 to 6 bytes of each hash (6): see below
    --memory-mib N            memory for sorting (256)
  verify-list [FILE]          reads a whole list and checks it
  check [--list FILE]         says whether the password on standard input is in the list

An INPUT is a file of lines SHA1:COUNT (Have I Been Pwned's), a range file (named by 5 hex digits,
with lines of the other 35), or a folder of .txt files or range files; each may end with .gz. The
lines need not be sorted. The list replaces FILE when it is complete. Free space beside FILE: 8
bytes for each hash, and as much again as the list. FILE of verify-list and check is
COMPROMISED_PASSWORDS_FILE unless given.

A shorter prefix makes a smaller list that refuses more passwords by chance. With 1,000,000,000
hashes, 6 bytes refuse 1 of 280,000 passwords that are not in the list, in 6 GB; 5 bytes 1 of 1,100;
4 bytes suit short lists only. Neither a password nor a hash is printed or logged.

${exitCodesHelp('check: the password is in the list; verify-list: the list is damaged')}`;

const FOUND = 1;
const KIB_PER_MIB = 1024;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (asksForHelp(argv)) return void process.stdout.write(HELP);
  const [command, ...rest] = argv;
  const commands: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
    tune,
    'build-list': build,
    'verify-list': verify,
    check,
  };
  const run =
    command !== undefined && Object.hasOwn(commands, command) ? commands[command] : undefined;
  if (run === undefined) throw new UsageError(`${unknownCommand(command)}\n\n${HELP}`);
  try {
    await run(rest);
  } catch (error) {
    if (error instanceof ListError) throw new UsageError(`${error.message}.`);
    throw error;
  }
}

function numberOf(
  options: ReadonlyMap<string, string>,
  name: string,
  { least, most, fallback }: { least: number; most: number; fallback: number },
): number {
  const text = options.get(name) ?? String(fallback);
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}.`);
}

async function tune(args: readonly string[]): Promise<void> {
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

async function build(args: readonly string[]): Promise<void> {
  const { words: inputs, options } = parseArguments(args, {
    out: 'string',
    'min-count': 'string',
    'prefix-bytes': 'string',
    'memory-mib': 'string',
  });
  const output = options.get('out') ?? loadConfig().auth.compromisedPasswordsFile;
  if (inputs.length === 0) throw new UsageError('Name a file or a folder of hashes.');
  if (output === undefined) throw new UsageError('Name the list with --out FILE.');
  const { min: least, max: most } = PREFIX_BYTES;
  const memoryMib = numberOf(options, 'memory-mib', { least: 1, most: 4096, fallback: 256 });
  const built = await buildList({
    ...{ inputs, output },
    prefixBytes: numberOf(options, 'prefix-bytes', { least, most, fallback: most }),
    minCount: numberOf(options, 'min-count', { least: 1, most: 1e9, fallback: 1 }),
    memoryEntries: memoryMib * 131_072,
    progress: progressOn(process.stderr),
  });
  process.stdout.write(
    `${output}: ${built.count} entries of ${built.prefixBytes} bytes, of ${built.read} hashes in ${built.files} files. ${refusalOf(built)}\n`,
  );
}

const refusalOf = (header: { count: number; prefixBytes: number }): string =>
  `A password that is not listed is refused with a probability of ${falsePositiveRate(header).toExponential(1)}.`;

function listNamed(file: string | undefined): { list: CompromisedList; file: string } {
  const path = file ?? loadConfig().auth.compromisedPasswordsFile;
  if (path === undefined)
    throw new UsageError('Name the list: COMPROMISED_PASSWORDS_FILE is not set.');
  try {
    return { list: openCompromisedList(path), file: path };
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}.`);
  }
}

async function verify(args: readonly string[]): Promise<void> {
  const { words } = parseArguments(args, {});
  if (words.length > 1) throw new UsageError('Name one list.');
  const { list, file } = listNamed(words[0]);
  const show = progressOn(process.stderr);
  try {
    list.verify((done, total) => show('reading', done, total));
    process.stdout.write(
      `${file}: ${list.header.count} entries of ${list.header.prefixBytes} bytes. ${refusalOf(list.header)}\n`,
    );
  } catch (error) {
    if (!(error instanceof ListError)) throw error;
    process.stdout.write(`${file} ${error.message}.\n`);
    process.exitCode = FOUND;
  } finally {
    await list.close();
  }
}

async function check(args: readonly string[]): Promise<void> {
  const { words, options } = parseArguments(args, { list: 'string' });
  if (words.length > 0)
    throw new UsageError('The password is read from standard input, not from the command line.');
  const { list } = listNamed(options.get('list'));
  try {
    const password = await readSecretLine('Password: ');
    if (password === '') throw new UsageError('The password is missing.');
    const isListed = list.hasSync(password);
    process.stdout.write(`The password is ${isListed ? '' : 'not '}in the list.\n`);
    if (isListed) process.exitCode = FOUND;
  } finally {
    await list.close();
  }
}

runCli(main);

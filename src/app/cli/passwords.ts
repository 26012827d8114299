import { loadConfig } from '../../kernel/config/config';
import {
  buildList,
  type CompromisedList,
  falsePositiveRate,
  ListError,
  openCompromisedList,
  PREFIX_BYTES,
} from '../../modules/auth';
import { numberOf, parseArguments, readSecretLine } from './arguments';
import { progressOn } from './progress';
import { asksForHelp, exitCodesHelp, runCli, UsageError, unknownCommand } from './run';
import { tune } from './tune-passwords';

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

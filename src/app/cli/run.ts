import { isConfigError } from '../../kernel/config/config';
import { Problem } from '../../kernel/errors';
import { exitCodeOf, exitCodes } from '../../runtime/exit-codes';

/** The command is invalid; nothing was written. The message is for a terminal. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** `help` as the command, or the option anywhere. */
export const asksForHelp = (argv: readonly string[]): boolean =>
  argv[0] === 'help' || argv.includes('--help') || argv.includes('-h');

/** `word`: the first argument. */
export const unknownCommand = (word: string | undefined): string =>
  word === undefined ? 'A command is missing.' : `Unknown command ${JSON.stringify(word)}.`;

/** The only word of a command line. Throws UsageError. */
export function onlyCommand<const C extends string>(
  words: readonly string[],
  commands: readonly C[],
  usage: string,
): C {
  const [word, extra] = words;
  const command = commands.find((one) => one === word);
  const fault =
    command === undefined
      ? unknownCommand(word)
      : `${word} does not take ${JSON.stringify(extra)}.`;
  if (command === undefined || extra !== undefined) throw new UsageError(`${fault}\n\n${usage}`);
  return command;
}

/** For commands that take no words. */
export function refuseWords([word]: readonly string[], usage?: string): void {
  if (word === undefined) return;
  const fault = `Unexpected argument ${JSON.stringify(word)}.`;
  throw new UsageError(usage === undefined ? fault : `${fault}\n\n${usage}`);
}

/** EX_USAGE of sysexits.h. */
const USAGE = 64;

/**
 * Ends the help text of a command that uses the database. `one`: the meaning of exit code 1, where
 * it is used.
 */
export const exitCodesHelp = (one?: string): string => `Exit codes:
  0   done
${one === undefined ? '' : `  1   ${one}\n`}  64  invalid command, nothing was written
  65  the content of the database does not allow an index
  69  the database cannot be reached
  70  failed, see the message
  78  invalid settings
`;

/** Runs a command; errors become one message and an exit code (docs/operate.md). */
export function runCli(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const { code, text } = outcome(error);
    process.stderr.write(text.endsWith('\n') ? text : `${text}\n`);
    process.exitCode = code;
  });
}

function outcome(error: unknown): { code: number; text: string } {
  if (error instanceof UsageError) return { code: USAGE, text: error.message };
  if (isConfigError(error)) return { code: exitCodes.config, text: error.message };
  if (error instanceof Problem && error.status < 500)
    return { code: USAGE, text: problemText(error) };
  const text = error instanceof Error ? error.message : String(error);
  return { code: exitCodeOf(error), text: `Failed, or the outcome is unknown: ${text}` };
}

/** With the faults of fields, where there are some. */
function problemText({ detail, message, errors = [] }: Problem): string {
  const faults = errors.map((fault) => `${fault.pointer.slice(1)} ${fault.message}`);
  return [detail ?? message, ...faults].join('\n');
}

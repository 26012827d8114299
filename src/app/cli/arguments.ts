import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { UsageError } from './run';

/** The options of a command: `string` takes a value, `boolean` stands alone. */
export type Options = Readonly<Record<string, 'string' | 'boolean'>>;

export interface Arguments {
  readonly words: readonly string[];
  /** The value of a given flag is 'true'. */
  readonly options: ReadonlyMap<string, string>;
}

/**
 * Parses `--name value`, `--name=value` and `--flag`; other arguments are words. Throws UsageError
 * for an unknown option or a missing value.
 */
export function parseArguments(argv: readonly string[], known: Options): Arguments {
  const options = Object.fromEntries(
    Object.entries({ ...known, help: 'boolean' as const }).map(([name, type]) => [name, { type }]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    return {
      words: positionals,
      options: new Map(Object.entries(values).map(([name, value]) => [name, String(value)])),
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Reads the first line of standard input; on a terminal, prompts for it without echo. */
export async function readSecretLine(prompt: string): Promise<string> {
  const terminal = process.stdin.isTTY === true;
  if (terminal) process.stderr.write(prompt);
  const muted = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: muted, terminal });
  try {
    for await (const line of lines) return line;
    return '';
  } finally {
    lines.close();
    if (terminal) process.stderr.write('\n');
  }
}

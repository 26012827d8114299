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
  const types: Types = new Map(Object.entries({ ...known, help: 'boolean' as const }));
  const options = { ...shapesOf(types), help: { type: 'boolean', short: 'h' } } as const;
  const shape = { args: [...argv], options, allowPositionals: true, tokens: true } as const;
  // Not strict: faults are told in words of this service.
  const { positionals, tokens } = parseArgs({ ...shape, strict: false });
  const given = tokens.flatMap((token) =>
    token.kind === 'option' ? [[token.name, givenValue(token, types)] as const] : [],
  );
  return { words: positionals, options: new Map(given) };
}

interface Known<T extends string, F extends string> {
  /** Options that take a value. */
  readonly texts: readonly T[];
  readonly flags: readonly F[];
}

/** A flag is true when it was given. */
type Values<T extends string, F extends string> = Readonly<
  Record<T, string | undefined> & Record<F | 'help', boolean>
>;

/** As `parseArguments`, for programs that read their options by name. */
export function parseValues<const T extends string, const F extends string>(
  argv: readonly string[],
  { texts, flags }: Known<T, F>,
): { readonly words: readonly string[]; readonly values: Values<T, F> } {
  const known = [...texts.map(optionOf('string')), ...flags.map(optionOf('boolean'))];
  const { words, options } = parseArguments(argv, Object.fromEntries(known));
  const values = Object.fromEntries([
    ...texts.map((name) => [name, options.get(name)]),
    ...[...flags, 'help'].map((name) => [name, options.has(name)]),
  ]);
  return { words, values: values as Values<T, F> };
}

const optionOf =
  <T extends Options[string]>(type: T) =>
  (name: string) =>
    [name, type] as const;

const shapesOf = (types: Types) =>
  Object.fromEntries([...types].map(([name, type]) => [name, { type }]));

interface Given {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

type Types = ReadonlyMap<string, 'string' | 'boolean'>;

function givenValue({ name, rawName, value, inlineValue }: Given, types: Types): string {
  const type = types.get(name);
  if (type === undefined) throw new UsageError(`There is no option ${rawName}; --help lists them.`);
  if (type === 'boolean' && value !== undefined) throw new UsageError(`${rawName} takes no value.`);
  if (type === 'boolean') return 'true';
  if (value === undefined || (inlineValue !== true && value.startsWith('--')))
    throw new UsageError(`${rawName} needs a value.`);
  return value;
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

/** A whole number in the option `name`. */
export function numberOf(
  options: ReadonlyMap<string, string>,
  name: string,
  { least, most, fallback }: { least: number; most: number; fallback: number },
): number {
  const text = options.get(name) ?? String(fallback);
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}.`);
}

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './service';

/** A command of a page, and what the page says that it prints. */
export interface Step {
  readonly command: string;
  readonly shown: string;
}

const STEP_MS = 30_000;
const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
/** `…` in a page stands for a value that is another one each time, such as a token. */
export const patternOf = (shown: string) =>
  new RegExp(`^${shown.split('…').map(escaped).join('[^\\s"]+')}$`);

/** The `sh` blocks of a page: commands, each followed by its output as comment lines. */
export function transcriptOf(page: string): readonly (readonly Step[])[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) =>
    // A line that ends with a backslash or a pipe goes on in the next one.
    [...block.matchAll(/^(?!#)((?:.*[\\|]\n)*.+)\n((?:#.*\n)*)/gm)].map(
      ([, command = '', comments = '']) => ({
        command,
        shown: comments.replaceAll(/^# ?/gm, '').trimEnd(),
      }),
    ),
  );
}

export interface Transcript {
  /** Variables that a reader of the page would set. */
  set(values: Readonly<Record<string, string>>): Promise<void>;
  /** Runs the commands one by one; throws at the first that fails or prints something else. */
  replay(block: readonly Step[]): Promise<void>;
  /** What the shell prints for a text in double quotes. */
  value(expression: string): Promise<string>;
  close(): Promise<void>;
}

/** A shell that keeps its variables and files from one block of a page to the next. */
export async function openTranscript(prelude = ''): Promise<Transcript> {
  const folder = await mkdtemp(join(tmpdir(), 'transcript-'));
  const env = { PATH: process.env['PATH'] };
  const shell = spawn('bash', { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => shell.once('close', () => resolve()));
  shell.stdin.on('error', () => undefined);
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (text.includes('\0')) shell.emit('answered');
  });
  async function run(command: string): Promise<string> {
    output = '';
    const answered = new Promise<void>((resolve) => shell.once('answered', resolve));
    // Errors belong to what a command prints. The status follows a byte that no command prints.
    shell.stdin.write(`eval ${quoted(command)} </dev/null 2>&1; printf '%s\\0' "/$?"\n`);
    const timer = setTimeout(() => shell.kill('SIGKILL'), STEP_MS);
    await Promise.race([answered, ended]);
    clearTimeout(timer);
    const [, printed = output, status] = /^([\s\S]*)\/(\d+)\0$/.exec(output) ?? [];
    if (status !== '0') throw new Error(`${command}\nended with ${status}:\n${printed}`);
    return printed.trimEnd();
  }
  await run(`set -uo pipefail\n${prelude}`);
  return {
    async set(values) {
      for (const [name, value] of Object.entries(values)) await run(`${name}=${quoted(value)}`);
    },
    async replay(block) {
      for (const { command, shown } of block) {
        const printed = await run(command);
        if (!patternOf(shown).test(printed)) {
          throw new Error(`${command}\nprinted:\n${printed}\nbut the page shows:\n${shown}`);
        }
      }
    },
    value: (expression) => run(`printf %s "${expression}"`),
    async close() {
      shell.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** `--name value`, `--name=value` and `--name` (as 'true'); the rest are words. */
export function parseArguments(argv: readonly string[]): { words: string[]; options: Map<string, string> } {
  const words: string[] = [];
  const options = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 1) {
    const one = argv[i] ?? '';
    if (!one.startsWith('--')) {
      words.push(one);
      continue;
    }
    const [name = '', inline] = one.slice(2).split(/=(.*)/s);
    const following = argv[i + 1];
    if (inline !== undefined) options.set(name, inline);
    else if (following !== undefined && !following.startsWith('--')) {
      options.set(name, following);
      i += 1;
    } else options.set(name, 'true');
  }
  return { words, options };
}

/** The first line of standard input; on a terminal asked for, and not echoed. */
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

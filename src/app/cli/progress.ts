export type Show = (what: string, done: number, total: number) => void;

const BAR_CHARS = 30;
const LINE_MS = 5000;

/** A bar on a terminal, a line now and then elsewhere. */
export function progressOn(output: NodeJS.WriteStream): Show {
  let shownMs = 0;
  return (what, done, total) => {
    const isEnd = done >= total;
    const nowMs = performance.now();
    if (!isEnd && nowMs - shownMs < (output.isTTY ? 100 : LINE_MS)) return;
    shownMs = nowMs;
    const part = total === 0 ? 1 : Math.min(1, done / total);
    const percent = `${Math.floor(100 * part)} %`;
    if (!output.isTTY) return void output.write(`${what} ${done} of ${total} (${percent})\n`);
    const bar = '#'.repeat(Math.round(BAR_CHARS * part)).padEnd(BAR_CHARS, '.');
    output.write(`\r${what.padEnd(9)} [${bar}] ${percent.padStart(5)}${isEnd ? '\n' : ''}`);
  };
}

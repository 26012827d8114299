/** One line of the service that holds a promise, and the test that fails without it. */
export interface Safeguard {
  /** For `--only`; kebab-case. */
  readonly name: string;
  /** What must not happen. */
  readonly title: string;
  /** Module of the line, in `src/` without its extension. */
  readonly file: string;
  /**
   * The code as it stands, and what stands there without the safeguard. It occurs once in the file,
   * and is the same in TypeScript and JavaScript: no types, no imported names. A space stands for
   * any white space.
   */
  readonly code: string;
  readonly without: string;
  /** In `tests/` without its extension. */
  readonly test: string;
  /** Part of the full names of the tests that must fail. */
  readonly named: string;
}

/** Finds the code, however it is wrapped. */
export const patternOf = ({ code }: Pick<Safeguard, 'code'>): RegExp =>
  new RegExp(code.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(' ', '\\s+'), 'g');

/** Throws unless the code occurs once. */
export function removeSafeguard(
  text: string,
  { code, without, file }: Pick<Safeguard, 'code' | 'without' | 'file'>,
): string {
  const pattern = patternOf({ code });
  const count = text.match(pattern)?.length ?? 0;
  if (count !== 1) throw new Error(`"${code}" occurs ${count} times in ${file}, not once`);
  return text.replace(pattern, () => without);
}

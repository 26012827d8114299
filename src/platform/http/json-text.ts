import { visit } from 'jsonc-parser';
import { problems } from '../../kernel/errors';

/** Far deeper than any valid body; the scanner recurses once per level. */
const DEPTH_MAX = 64;

/** Matches whole strings, so that their brackets do not count; also an unterminated one. */
const STRING_OR_BRACKET = /"(?:[^"\\]|\\.)*"?|[[\]{}]/gs;

function isTooDeep(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(STRING_OR_BRACKET)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

interface Position {
  /** In UTF-16 code units, from 0. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

interface Scan {
  readonly fault: Position | undefined;
  /** RFC 6901 pointer of the first member whose name occurs twice in its object. */
  readonly duplicate: string | undefined;
}

const pointerOf = (path: readonly (string | number)[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Finds the first syntax error and the first duplicate member in one pass. */
function scan(text: string): Scan {
  let fault: Position | undefined;
  let duplicate: string | undefined;
  const names: Set<string>[] = [];
  visit(
    text,
    {
      onObjectBegin() {
        names.push(new Set());
      },
      onObjectProperty(name, _offset, _length, _line, _column, pathOf) {
        const seen = names.at(-1);
        if (seen?.has(name) === true) duplicate ??= pointerOf([...pathOf(), name]);
        seen?.add(name);
      },
      onObjectEnd() {
        names.pop();
      },
      onError(_code, offset, _length, line, column) {
        fault ??= { offset, line: line + 1, column: column + 1 };
      },
    },
    { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false },
  );
  return { fault, duplicate };
}

function malformed(text: string, cause: unknown) {
  const { fault } = scan(text);
  if (fault === undefined)
    return problems.malformed('malformed_json', 'The body is not valid JSON.', { cause });
  const detail = `The body is not valid JSON: the fault is in line ${fault.line}, column ${fault.column}.`;
  return problems.malformed('malformed_json', detail, { cause, extensions: { position: fault } });
}

/**
 * Parses strict JSON (RFC 8259). Duplicate names in one object are refused: parsers disagree which
 * of them counts (RFC 8259 §4), so one system could check the first value and another use the
 * second. Throws Problem 400 `malformed_json` (with the position) or `json_too_deep`; 422
 * `duplicate_member` for the first duplicate.
 */
export function parseJsonText(text: string): unknown {
  if (isTooDeep(text))
    throw problems.malformed(
      'json_too_deep',
      `The body is nested deeper than ${DEPTH_MAX} levels.`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The message of JSON.parse quotes the body, which may contain a password.
    throw malformed(text, error);
  }
  const { duplicate } = scan(text);
  if (duplicate !== undefined) {
    throw problems.invalid([
      { pointer: duplicate, code: 'duplicate_member', message: 'must not occur twice' },
    ]);
  }
  return value;
}

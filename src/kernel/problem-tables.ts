import { FIELD_CODES, fieldCodes } from './field-codes';
import { PROBLEM_CODES, problemCodes } from './problem-codes';

/** Both tables in Markdown, for docs/problem-codes.md. */
export function problemTables(): string {
  const rows = problemCodes.map(
    (code) => `| ${PROBLEM_CODES[code].status} | \`${code}\` | ${PROBLEM_CODES[code].meaning} |`,
  );
  const fields = fieldCodes.map((code) => `| \`${code}\` | ${FIELD_CODES[code]} |`);
  return [
    ...['| status | `code` | meaning |', '|---|---|---|', ...rows, ''],
    ...['| `errors[].code` | the field … |', '|---|---|', ...fields, ''],
  ].join('\n');
}

interface LineFault {
  readonly env: string;
  readonly message: string;
}

/** One assignment as dotenv reads it: name, and the value as it is written. */
const ASSIGNMENT =
  /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm;

/**
 * The lines that dotenv skips, overwrites or cuts off silently. No line is shown: it may be a
 * secret.
 */
export function lineFaults(text: string): LineFault[] {
  const assignments = [...text.matchAll(ASSIGNMENT)].map(([line, name = '', value = '']) => ({
    ...{ line, name, value },
  }));
  const names = assignments.map(({ name }) => name);
  const twice = new Set(names.filter((name, i) => names.indexOf(name) < i));
  const cut = assignments.filter(({ line, value }) => isCut(line, value));
  return [
    ...otherLines(text).map((number) => ({
      env: '.env',
      message: `line ${number} is neither NAME=value nor a comment (#)`,
    })),
    ...[...twice].map((env) => ({ env, message: 'is in .env twice: only the last would count' })),
    ...cut.map(({ name: env }) => ({
      env,
      message:
        "is cut off at # in .env: put the value in quotes ('…'), or a blank before a comment",
    })),
  ];
}

/** An unquoted value with a comment right behind it. */
const isCut = (line: string, value: string): boolean =>
  /^\s*[^\s'"`]/.test(value) && /\S$/.test(value) && line.includes(`${value}#`);

/** Numbers of the lines that dotenv skips. */
function otherLines(text: string): number[] {
  const rest = text.replaceAll(ASSIGNMENT, (found) => found.replaceAll(/[^\n]+/g, ''));
  return rest.split('\n').flatMap((line, i) => (/^\s*(#|$)/.test(line) ? [] : [i + 1]));
}

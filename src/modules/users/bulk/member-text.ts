/** Strings, and the signs between values. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g;

/**
 * The text of a member of an object, as it was sent: a number that no double holds is another one
 * once it is parsed. `json` is valid and names no member twice.
 */
export function memberText(json: string, name: string): string | undefined {
  let [depth, key, value] = [0, '', 0];
  let text = '';
  for (const { 0: token, index } of json.matchAll(TOKENS)) {
    if (depth === 1 && token === ':') [key, value] = [text, index + 1];
    const ends = depth === 1 && ',}'.includes(token);
    if (ends && key !== '' && JSON.parse(key) === name) return json.slice(value, index).trim();
    if (token.startsWith('"')) text = token;
    else depth += STEPS[token] ?? 0;
  }
  return undefined;
}

const STEPS: Readonly<Record<string, number>> = { '{': 1, '[': 1, '}': -1, ']': -1 };

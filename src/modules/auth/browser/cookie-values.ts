const SPACE = 0x20;
const TAB = 0x09;

/**
 * The values of a cookie by its exact name, in a header `Cookie`. Around a pair only spaces and
 * tabs go (RFC 6265 §5.2). `trim` takes more, such as U+00A0: it would give the name, with its
 * prefix, to a cookie that browsers let any subdomain set.
 */
export function cookieValues(header: string | undefined, name: string): string[] {
  const prefix = `${name}=`;
  return (header ?? '')
    .split(';')
    .map(withoutBlanks)
    .filter((pair) => pair.startsWith(prefix))
    .map((pair) => pair.slice(prefix.length));
}

/** No regular expression: one for the end of a text tries every blank in it. */
function withoutBlanks(text: string): string {
  const isBlank = (at: number) => text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB;
  let [start, end] = [0, text.length];
  while (start < end && isBlank(start)) start += 1;
  while (start < end && isBlank(end - 1)) end -= 1;
  return text.slice(start, end);
}

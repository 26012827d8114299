/** One record of a CSV file (RFC 4180) as its fields; undefined where its quotes are wrong. */
export function parseCsv(text: string): string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field: string;
    if (text[at] === '"') {
      const end = endOfQuoted(text, at + 1);
      if (end === -1) return undefined;
      field = text.slice(at + 1, end).replaceAll('""', '"');
      at = end + 1;
    } else {
      const comma = text.indexOf(',', at);
      const end = comma === -1 ? text.length : comma;
      field = text.slice(at, end);
      if (field.includes('"')) return undefined;
      at = end;
    }
    fields.push(field);
    if (at === text.length) return fields;
    if (text[at] !== ',') return undefined;
    at += 1;
  }
}

/** Index of the closing quote; -1: there is none. */
function endOfQuoted(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 2))
    if (text[at + 1] !== '"') return at;
  return -1;
}

/** A record without its line end. */
export const formatCsv = (fields: readonly string[]): string =>
  fields
    .map((field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join();

/** The end of the RESP2 reply that begins at `at`; -1: incomplete or malformed. */
export function replyEnd(bytes: Buffer, at: number): number {
  const line = bytes.indexOf('\r\n', at);
  if (line < 0) return -1;
  const count = Number(bytes.toString('latin1', at + 1, line));
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case '+':
    case '-':
    case ':':
      return line + 2;
    case '$': {
      const end = count < 0 ? line + 2 : line + 2 + count + 2;
      return Number.isNaN(count) || end > bytes.length ? -1 : end;
    }
    case '*': {
      let end = line + 2;
      for (let i = 0; i < count && end >= 0; i += 1) end = replyEnd(bytes, end);
      return end;
    }
    default:
      return -1;
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askControl } from '../../../src/runtime/primary/control';

test.each([
  ['nothing', ''],
  ['a part of an answer', '{"ok":true,"wan'],
])('a primary that ends after %s is an error', async (_, text) => {
  const dir = mkdtempSync(join(tmpdir(), 'control-'));
  const server = createServer((socket) => socket.once('data', () => socket.end(text)));
  await new Promise<void>((resolve) => server.listen(join(dir, 'control.sock'), resolve));
  try {
    const answer = askControl(dir, { command: 'status' }).catch(({ message }) => message);
    const settled = await Promise.race([answer, delay(3000, 'never settles')]);
    expect(settled).toBe('the primary ended before it answered');
  } finally {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

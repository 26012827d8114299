import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

test('work that fails after its call is over is no unhandled rejection', () => {
  const file = join(__dirname, '../../../packages/client/src/deadline.js');
  const script = `
    const { startDeadline } = require(${JSON.stringify(file)});
    const deadline = startDeadline(60_000, AbortSignal.abort());
    const work = new Promise((_, reject) => setTimeout(reject, 10, new Error('failed late')));
    deadline.race(work).catch(({ code }) => console.log(code));
    deadline.end();`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'aborted\n', stderr: '' });
});

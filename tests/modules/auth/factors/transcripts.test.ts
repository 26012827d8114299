import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startTestService, type TestService } from '../../../support/app';
import { root } from '../../../support/service';

/**
 * oathtool, by the library of the service. Each call gives the code of the next step, as if half a
 * minute had passed, because a code works once.
 */
const OATHTOOL = `
oathtool() {
  local calls; calls=$(cat calls 2>/dev/null || echo 0); echo $((calls + 1)) >calls
  node -e '
    const { Secret, TOTP } = require(process.argv[1]);
    const secret = Secret.fromBase32(process.argv[2]);
    const timestamp = Date.now() + Number(process.argv[3]) * 30000;
    console.log(TOTP.generate({ secret, timestamp }));
  ' "$OTPAUTH" "$3" "$calls"
}
`;

let service: TestService;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'transcript-'));
  service = await startTestService();
});
afterAll(async () => {
  await service?.close();
  await rm(folder, { recursive: true, force: true });
});

test('the transcripts of docs/sign-in.md run as they stand', async () => {
  const page = readFileSync(join(root, 'docs/sign-in.md'), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block);
  expect(blocks.length).toBeGreaterThan(3);
  const script = join(folder, 'transcript.sh');
  writeFileSync(script, `set -euo pipefail\n${OATHTOOL}${blocks.join('\n')}\necho complete\n`);
  const { stdout } = await promisify(execFile)('bash', [script], {
    cwd: folder,
    timeout: 60_000,
    env: {
      PATH: process.env['PATH'],
      URL: service.baseUrl,
      OTPAUTH: join(root, 'node_modules/otpauth'),
    },
  });
  expect(stdout).toMatch(/complete\n$/);
});

import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { startRemoteClient } from '../../faults/remote';
import { bestKind, openNetwork, type TestNetwork } from '../support/network';
import { isRunning } from '../support/service';
import { until } from '../support/until';

const KINDS = ['namespaces', 'loopback'] as const;
const spaces = () => execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });

const SERVER = `require('node:http').createServer((q, s) => s.end('here')).listen(8080, process.argv[1], () => console.log('listening'))`;

async function serve(network: TestNetwork) {
  const node = network.node('server');
  const running = node.run([process.execPath, '-e', SERVER, node.address]);
  await until('the server listens', () => running.output().includes('listening'));
  return { node, running, url: `http://${node.address}:8080/` };
}

for (const kind of KINDS) {
  const available =
    kind === 'loopback' ? process.platform === 'linux' : bestKind() === 'namespaces';
  (available ? describe : describe.skip)(
    `a test's network of ${kind}${available ? '' : ' (skipped: this user may not make namespaces)'}`,
    () => {
      let network: TestNetwork;
      beforeEach(() => {
        network = openNetwork(['server', 'client'], kind);
      });
      afterEach(() => network.close());

      test('hosts reach each other; a cut one answers nothing, not even a refusal, until it is restored', async () => {
        const { node, url } = await serve(network);
        const client = startRemoteClient(network.node('client'));
        expect((await client.request(url)).body).toBe('here');
        node.cut();
        await expect(client.request(url, { timeoutMs: 400 })).rejects.toThrow(
          /no answer within 400 ms/,
        );
        node.restore();
        expect((await client.request(url)).body).toBe('here');
      });

      test('a killed host refuses at once, and nothing of it runs on', async () => {
        const { node, running, url } = await serve(network);
        const client = startRemoteClient(network.node('client'));
        node.kill();
        await running.exited;
        await expect(client.request(url)).rejects.toThrow(/ECONNREFUSED/);
      });

      test('closing it ends every process that it started', async () => {
        const { running } = await serve(network);
        await network.close();
        expect(isRunning(running.pid)).toBe(false);
      });
    },
  );
}

const hasNamespaces = bestKind() === 'namespaces';
(hasNamespaces ? test : test.skip)(
  `namespaces go with the process that made them, even when it is killed${hasNamespaces ? '' : ' [skipped: no right to make network namespaces]'}`,
  async () => {
    const support = join(__dirname, '..', 'support', 'network.js');
    const script = `const n = require(${JSON.stringify(support)}).openNetwork(['a'], 'namespaces'); console.log(n.node('a').prefix.at(-1)); setInterval(() => {}, 1000)`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const name = await new Promise<string>((resolve) =>
      child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())),
    );
    expect(spaces()).toContain(name);
    child.kill('SIGKILL');
    await until('the namespace is gone', () => !spaces().includes(name));
  },
);

import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Running, run } from './processes';
import { findTool } from './tools';

/** A process that is killed is gone long before. */
const KILL_MS = 2000;

/** One host of a test network. */
export interface HostNode {
  readonly name: string;
  readonly address: string;
  /** A command prefix that runs the command on this host. */
  readonly prefix: readonly string[];
  run(command: readonly string[], options?: SpawnOptions): Running;
  /** Drops all packets from and to this host, without RST. */
  cut(): void;
  restore(): void;
  /** Sends SIGKILL to all its processes at once, like a power failure. */
  kill(): void;
}

export interface TestNetwork {
  /** `loopback`: addresses of 127/8, when this user may not create namespaces. */
  readonly kind: 'namespaces' | 'loopback';
  node(name: string): HostNode;
  close(): Promise<void>;
}

/**
 * Hosts as network namespaces, connected by a bridge in its own namespace: the machine's network is
 * neither changed nor reachable. The namespaces are removed when this process exits, for any
 * reason.
 */
export function openNetwork(
  names: readonly string[],
  kind: TestNetwork['kind'] = bestKind(),
): TestNetwork {
  return kind === 'namespaces' ? openNamespaces(names) : openLoopback(names);
}

/**
 * Tries to create a namespace: some containers forbid it even for root. TEST_NETWORK=loopback
 * overrides the result.
 */
export function bestKind(): TestNetwork['kind'] {
  if (process.env['TEST_NETWORK'] === 'loopback') return 'loopback';
  if (
    process.getuid?.() !== 0 ||
    findTool('ip') === undefined ||
    findTool('iptables') === undefined
  )
    return 'loopback';
  const name = `try-${randomBytes(4).toString('hex')}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'exec', name, 'iptables', '-S');
    ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge');
    return 'namespaces';
  } catch {
    return 'loopback';
  } finally {
    spawn('ip', ['netns', 'del', name], { stdio: 'ignore' });
  }
}

function openNamespaces(names: readonly string[]): TestNetwork {
  const tag = `f${randomBytes(4).toString('hex')}`;
  const switchName = `${tag}-net`;
  const spaces = [switchName, ...names.map((name) => `${tag}-${name}`)];
  const guard = startGuard(spaces);
  const runnings: Running[] = [];
  const nodes = new Map<string, HostNode>();
  try {
    ip('netns', 'add', switchName);
    ip('-n', switchName, 'link', 'add', 'br0', 'type', 'bridge');
    ip('-n', switchName, 'link', 'set', 'br0', 'up');
    names.forEach((name, index) => {
      const space = `${tag}-${name}`;
      const address = `10.77.0.${11 + index}`;
      ip('netns', 'add', space);
      ip(
        '-n',
        switchName,
        'link',
        'add',
        `port${index}`,
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'netns',
        space,
      );
      ip('-n', switchName, 'link', 'set', `port${index}`, 'master', 'br0', 'up');
      ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      ip('-n', space, 'link', 'set', 'eth0', 'up');
      ip('-n', space, 'link', 'set', 'lo', 'up');
      nodes.set(name, createNode(name, space, address, runnings));
    });
  } catch (error) {
    guard.end();
    throw error;
  }
  return {
    kind: 'namespaces',
    node: (name) => named(nodes, name),
    async close() {
      await Promise.all(runnings.map((running) => running.stop()));
      await guard.end();
    },
  };
}

function createNode(name: string, space: string, address: string, runnings: Running[]): HostNode {
  const prefix = ['ip', 'netns', 'exec', space];
  const filter = (action: string, chain: string, device: string) =>
    ip('netns', 'exec', space, 'iptables', '-w', '5', action, chain, device, 'eth0', '-j', 'DROP');
  return {
    name,
    address,
    prefix,
    run(command, options) {
      const running = run([...prefix, ...command], options);
      runnings.push(running);
      return running;
    },
    cut() {
      filter('-I', 'INPUT', '-i');
      filter('-I', 'OUTPUT', '-o');
    },
    restore() {
      filter('-D', 'INPUT', '-i');
      filter('-D', 'OUTPUT', '-o');
    },
    kill() {
      // Kill all in one call: a primary whose workers die one by one would start new ones.
      const left = () => ip('netns', 'pids', space).split('\n').filter(Boolean);
      const pids = left();
      if (pids.length > 0) execFileSync('kill', ['-KILL', ...pids]);
      // `kill` returns before they have closed their connections.
      const until = performance.now() + KILL_MS;
      while (left().some((pid) => pids.includes(pid)) && performance.now() < until);
    },
  };
}

/**
 * Uses 127.77.0.x: on Linux all addresses of 127/8 are local. To cut off a host, its processes are
 * stopped.
 */
function openLoopback(names: readonly string[]): TestNetwork {
  const base = 1 + (process.pid % 250);
  const nodes = new Map<string, HostNode>();
  const runnings: Running[] = [];
  names.forEach((name, index) => {
    const own: Running[] = [];
    const signal = (what: NodeJS.Signals) => {
      for (const { pid, child } of own)
        if (child.exitCode === null && child.signalCode === null) process.kill(-pid, what);
    };
    nodes.set(name, {
      name,
      address: `127.77.${base}.${11 + index}`,
      prefix: [],
      run(command, options) {
        const running = run(command, options);
        own.push(running);
        runnings.push(running);
        return running;
      },
      cut: () => signal('SIGSTOP'),
      restore: () => signal('SIGCONT'),
      kill: () => signal('SIGKILL'),
    });
  });
  return {
    kind: 'loopback',
    node: (name) => named(nodes, name),
    close: async () => void (await Promise.all(runnings.map((running) => running.stop()))),
  };
}

function named(nodes: ReadonlyMap<string, HostNode>, name: string): HostNode {
  const node = nodes.get(name);
  if (node === undefined) throw new RangeError(`no host "${name}" in this network`);
  return node;
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, {
    encoding: 'utf8',
    timeout: 10_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/**
 * A shell that removes the namespaces when its stdin ends, which happens when this process exits,
 * even by SIGKILL.
 */
function startGuard(spaces: readonly string[]): { end(): Promise<void> } {
  const script =
    'cat >/dev/null; for s in "$@"; do ip netns pids "$s" | xargs -r kill -KILL; ip netns del "$s"; done 2>/dev/null';
  const child = spawn('sh', ['-c', script, 'guard', ...spaces], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    end() {
      child.stdin.end();
      return ended;
    },
  };
}

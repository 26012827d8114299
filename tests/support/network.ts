import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Running, run } from './processes';
import { findTool } from './tools';

/** One host of a test's network. */
export interface HostNode {
  readonly name: string;
  readonly address: string;
  /** Put before a command, it runs on this host. */
  readonly prefix: readonly string[];
  run(command: readonly string[], options?: SpawnOptions): Running;
  /** Nothing gets in or out any more, and nobody is told: packets vanish, no RST. */
  cut(): void;
  restore(): void;
  /** SIGKILL to every process on it at once, as when the power goes. */
  kill(): void;
}

export interface TestNetwork {
  /** `loopback`: addresses of 127/8 instead of namespaces, where this user may not make them. */
  readonly kind: 'namespaces' | 'loopback';
  node(name: string): HostNode;
  close(): Promise<void>;
}

/**
 * Hosts as network namespaces, joined by a bridge that lives in a namespace too: nothing of the machine's own network is
 * touched or reachable. Ends with this process, however this one ends.
 */
export function openNetwork(names: readonly string[], kind: TestNetwork['kind'] = bestKind()): TestNetwork {
  return kind === 'namespaces' ? openNamespaces(names) : openLoopback(names);
}

/** Tried with a namespace that is gone again at once: being root is not enough in every container. TEST_NETWORK=loopback decides. */
export function bestKind(): TestNetwork['kind'] {
  if (process.env['TEST_NETWORK'] === 'loopback') return 'loopback';
  if (process.getuid?.() !== 0 || findTool('ip') === undefined || findTool('iptables') === undefined) return 'loopback';
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
      ip('-n', switchName, 'link', 'add', `port${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
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
      // In one call: a primary that sees its workers die one after the other would start new ones meanwhile.
      const pids = ip('netns', 'pids', space).split('\n').filter(Boolean);
      if (pids.length > 0) execFileSync('kill', ['-KILL', ...pids]);
    },
  };
}

/** 127.77.0.x: every address of 127/8 is the machine's own on Linux. A cut host is one whose processes stand still. */
function openLoopback(names: readonly string[]): TestNetwork {
  const base = 1 + (process.pid % 250);
  const nodes = new Map<string, HostNode>();
  const runnings: Running[] = [];
  names.forEach((name, index) => {
    const own: Running[] = [];
    const signal = (what: NodeJS.Signals) => {
      for (const { pid, child } of own) if (child.exitCode === null && child.signalCode === null) process.kill(-pid, what);
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
  return execFileSync('ip', args, { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A shell that takes the namespaces down when its stdin ends, which it does when this process ends, even by SIGKILL. */
function startGuard(spaces: readonly string[]): { end(): Promise<void> } {
  const script = 'cat >/dev/null; for s in "$@"; do ip netns pids "$s" | xargs -r kill -KILL; ip netns del "$s"; done 2>/dev/null';
  const child = spawn('sh', ['-c', script, 'guard', ...spaces], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    end() {
      child.stdin.end();
      return ended;
    },
  };
}

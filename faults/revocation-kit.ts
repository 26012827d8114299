import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { startProxy, type Proxy as TcpProxy } from '../tests/support/cache-proxy';
import type { ToVerifier, VerifierOrder, VerifierReport } from './programs/revocation-verifier';

const program = join(__dirname, 'programs', 'revocation-verifier.js');

/** What all verifiers have seen. */
export class Findings {
  checks = 0;
  readonly refused: Record<string, number> = {};
  /** When the last accepted check of a token began. */
  readonly lastAcceptedMs = new Map<number, number>();
  /** When the end of a token was acknowledged. */
  readonly acknowledgedMs = new Map<number, number>();

  take({ checks, accepted, refused }: VerifierReport): void {
    this.checks += checks;
    for (const [code, count] of Object.entries(refused))
      this.refused[code] = (this.refused[code] ?? 0) + count;
    for (const [id, beganMs] of accepted)
      this.lastAcceptedMs.set(id, Math.max(beganMs, this.lastAcceptedMs.get(id) ?? 0));
  }

  /** Tokens with an accepted check that began after their end was acknowledged. */
  violations(): number {
    return [...this.acknowledgedMs].filter(
      ([id, atMs]) => (this.lastAcceptedMs.get(id) ?? 0) > atMs,
    ).length;
  }

  /** By how much the worst of them was late. */
  worstMs(): number {
    const late = [...this.acknowledgedMs].map(
      ([id, atMs]) => (this.lastAcceptedMs.get(id) ?? 0) - atMs,
    );
    return Math.round(Math.max(0, ...late));
  }
}

/** A verifier in a process of its own, behind a network of its own. */
export interface VerifierProcess {
  readonly proxy: TcpProxy;
  send(message: ToVerifier): void;
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL, and another process in its place, which knows the same tokens. */
  replace(): void;
  close(): Promise<void>;
}

export async function startVerifier(
  port: number,
  order: Omit<VerifierOrder, 'url'>,
  findings: Findings,
): Promise<VerifierProcess> {
  const proxy = await startProxy(port);
  const tokens = new Map<number, string>();
  const url = `http://127.0.0.1:${proxy.port}`;

  function start(): ChildProcess {
    const child = fork(program, [JSON.stringify({ ...order, url })], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.on('message', (report) => findings.take(report as VerifierReport));
    // A message to a process that was just killed.
    child.on('error', () => undefined);
    if (tokens.size > 0) child.send({ kind: 'add', tokens: [...tokens] } satisfies ToVerifier);
    return child;
  }

  let child = start();
  return {
    proxy,
    send(message) {
      if (message.kind === 'add') for (const [id, token] of message.tokens) tokens.set(id, token);
      else for (const id of message.ids) tokens.delete(id);
      if (child.connected) child.send(message);
    },
    signal: (signal) => child.kill(signal),
    replace() {
      child.kill('SIGKILL');
      child = start();
    },
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const isOver = child.exitCode !== null || child.signalCode !== null;
      child.kill('SIGKILL');
      if (!isOver) await ended;
      await proxy.close();
    },
  };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { folder } from './folder.js';

const SERVICE = join(folder, '..', 'service', 'dist', 'main.js');
const START_TIMEOUT_MS = 30_000;
const ORDER_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5000;
const KEPT_OUTPUT_CHARACTERS = 10_000;

/** The process of the service. */
export interface ServiceProcess {
  readonly url: string;
  /** Sends an order, and resolves with the answer. */
  order<T = void>(order: { readonly type: string; readonly [member: string]: unknown }): Promise<T>;
  /** The last lines of its log. */
  output(): string;
  close(): Promise<void>;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}
type Message = {
  readonly ready?: string;
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: string;
};

/** `given`: the names of the settings that are not the fixture's own. Others are refused. */
export async function startProcess(
  cwd: string,
  settings: Readonly<Record<string, string>>,
  given: readonly string[],
): Promise<ServiceProcess> {
  const { PATH, HOME, XDG_CACHE_HOME, TMPDIR } = process.env;
  // Nothing else of this process's environment: its settings may be those of a real deployment.
  const inherited = Object.entries({ PATH, HOME, XDG_CACHE_HOME, TMPDIR });
  const env = {
    ...Object.fromEntries(inherited.filter(([, value]) => value !== undefined)),
    ...settings,
  };
  const stdio: ['ignore', 'pipe', 'pipe', 'ipc'] = ['ignore', 'pipe', 'pipe', 'ipc'];
  // execArgv: flags of a test runner are not for the service.
  const child: ChildProcess = spawn(process.execPath, [SERVICE, ...given], { cwd, env, stdio });
  const waiting = new Map<number, Waiting>();
  const output = keepOutput(child);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let latest = 0;
  let isEnded = false;
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (how: string) => {
      isEnded = true;
      const error = new Error(`the service ${how}\n${output()}`);
      reject(error);
      for (const one of waiting.values()) one.reject(error);
      waiting.clear();
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`was not ready within ${START_TIMEOUT_MS} ms`);
    }, START_TIMEOUT_MS);
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      fail(`ended (${signal ?? `exit code ${code}`})`);
    });
    child.on('message', ({ ready, id = 0, value, error }: Message) => {
      if (ready !== undefined) {
        clearTimeout(timer);
        resolve(ready);
      }
      const one = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) one?.resolve(value);
      else one?.reject(new Error(error));
    });
  });
  // A test runner whose tests are over may end without `close`, and the service ends with it.
  child.unref();
  child.channel?.unref();
  for (const stream of [child.stdout, child.stderr])
    (stream as { unref?: () => void } | null)?.unref?.();

  return {
    url,
    output,
    order: <T>(order: { readonly type: string }) =>
      new Promise<T>((resolve, reject) => {
        if (isEnded) return reject(new Error(`the service has ended\n${output()}`));
        const id = ++latest;
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(new Error(`the service did not answer "${order.type}" in time\n${output()}`));
        }, ORDER_TIMEOUT_MS);
        const settle = (then: () => void) => {
          clearTimeout(timer);
          then();
        };
        waiting.set(id, {
          resolve: (value) => settle(() => resolve(value as T)),
          reject: (error) => settle(() => reject(error)),
        });
        child.send({ id, ...order }, (error) => {
          if (error !== null) waiting.get(id)?.reject(error);
        });
      }),
    async close() {
      child.ref();
      if (child.connected) child.disconnect();
      const killer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
      await ended;
      clearTimeout(killer);
    },
  };
}

function keepOutput(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => {
      text = (text + part).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  return () => text;
}

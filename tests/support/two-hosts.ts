import { type MongoProxy, startMongoProxy } from '../../faults/mongo-proxy';
import { createLifecycle } from '../../src/kernel/lifecycle';
import { createLogger } from '../../src/platform/telemetry/logger';
import { startTestService, type TestService } from './app';
import { type Client, createClient, eventually } from './http';
import { startTestMongo } from './mongo';

/** Two hosts on one database; the far one reaches it through the proxy. */
export interface TwoHosts {
  readonly nearHost: TestService;
  readonly farHost: TestService;
  readonly near: Client;
  readonly far: Client;
  readonly proxy: MongoProxy;
  /**
   * Begins work on the far host, and resolves when its first command with this text waits in the
   * proxy, as all after it do.
   */
  heldFrom<T>(text: string, work: () => Promise<T>): Promise<{ readonly answer: Promise<T> }>;
  close(): Promise<void>;
}

/** `ofFar`: settings of the far host alone. */
export async function startTwoHosts(
  settings: Record<string, string> = {},
  ofFar: Record<string, string> = {},
): Promise<TwoHosts> {
  const lifecycle = createLifecycle({ deadlineMs: 30_000, log: createLogger({ level: 'silent' }) });
  const { own } = lifecycle;
  try {
    const mongo = own('mongo', await startTestMongo());
    const proxy = own('proxy', await startMongoProxy(mongo.uri));
    const farHost = own('far', await startTestService({ ...settings, ...ofFar }, proxy));
    const nearHost = own('near', await startTestService(settings, mongo));
    return {
      ...{ nearHost, farHost, proxy },
      near: createClient(nearHost.baseUrl),
      far: createClient(farHost.baseUrl),
      async heldFrom(text, work) {
        proxy.holdFrom(text);
        const answer = work();
        await eventually('the write', () => proxy.isHolding());
        return { answer };
      },
      async close() {
        proxy.pass();
        await lifecycle.close();
      },
    };
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}

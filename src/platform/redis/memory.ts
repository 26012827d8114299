import { createClient } from 'redis';
import { withTimeout } from '../../kernel/lifecycle';
import { clientOptions, parseAddresses } from './deployment';

export interface RedisMemory {
  readonly address: string;
  readonly policy: string;
  /** 0: without limit. */
  readonly maxBytes: number;
  readonly usedBytes: number;
}

const TIMEOUT_MS = 3000;

/** The memory limits of each server of a REDIS_URL. Rejects when one does not answer in time. */
export function redisMemory(url: string): Promise<RedisMemory[]> {
  const addresses = parseAddresses(url);
  const options = { addresses, connectTimeoutMs: TIMEOUT_MS, silenceMs: TIMEOUT_MS };
  const common = clientOptions(options);
  return Promise.all(
    addresses.nodes.map(async (node) => {
      const client = createClient({
        ...common,
        socket: { ...common.socket, ...node, reconnectStrategy: false },
      });
      client.on('error', () => undefined);
      try {
        await withTimeout(client.connect(), TIMEOUT_MS, 'connect to Redis');
        const answer = client.sendCommand<string>(['INFO', 'memory']);
        const text = String(await withTimeout(answer, TIMEOUT_MS, 'INFO'));
        const field = (name: string) => new RegExp(`^${name}:(\\S*)`, 'm').exec(text)?.[1];
        return {
          address: `${node.host}:${node.port}`,
          policy: field('maxmemory_policy') ?? 'unknown',
          maxBytes: Number(field('maxmemory') ?? 0),
          usedBytes: Number(field('used_memory') ?? 0),
        };
      } finally {
        client.destroy();
      }
    }),
  );
}

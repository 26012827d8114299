import { parseConfig } from '../../../src/kernel/config/config';
import { connectCache } from '../../../src/platform/cache/connect';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { memoryEpochStore } from '../../support/cache-fixture';
import { describeWithRedis, startTestRedis } from '../../support/redis';
import { until } from '../../support/until';

describeWithRedis('a Redis user without INFO', () => {
  test('is logged once with the reason; the service goes on without Redis', async () => {
    const redis = await startTestRedis([
      '--user',
      'default',
      'on',
      'nopass',
      '~*',
      '&*',
      '+@all',
      '-info',
    ]);
    const lines: string[] = [];
    const log = createLogger({ level: 'warn' }, { write: (line: string) => lines.push(line) });
    const cache = await connectCache({
      settings: parseConfig({ REDIS_URL: redis.url }).cache,
      log,
      epochStore: memoryEpochStore(),
    });
    try {
      await until('the warning', () =>
        lines.some(
          (line) =>
            /Redis refused a command that the cache needs/.test(line) && /NOPERM.*info/i.test(line),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect(lines.filter((line) => line.includes('NOPERM'))).toHaveLength(1);
      expect(cache.state()).toEqual(expect.objectContaining({ kind: 'redis', status: 'degraded' }));
    } finally {
      await cache.close();
      await redis.close();
    }
  });
});

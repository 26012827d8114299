import { ALL_PERMISSIONS, createPolicy } from '../../../../src/kernel/permissions';
import {
  createImportWork,
  type ImportWorkDependencies,
} from '../../../../src/modules/users/bulk/import-work';
import type { JobRun } from '../../../../src/platform/jobs/job-run';
import { startTestService } from '../../../support/app';
import { createClient, eventually, login } from '../../../support/http';

/** An import of three parts without rows. `restMs`: after each part. */
function importOf(restMs: ImportWorkDependencies['restMs']) {
  const params = { ...{ format: 'ndjson', columns: [], chunks: 3 }, match: 'email', actor: {} };
  const abort = new AbortController();
  const checkpointsMs: number[] = [];
  const work = createImportWork({
    files: { getCompressed: async () => ({ data: Buffer.alloc(0), meta: {} }) },
    prepare: async () => ({ taken: [], refused: [] }),
    presentRequester: async () => ({ userId: 'cli:test', permissions: ALL_PERMISSIONS }),
    ...{ policy: createPolicy(), indexed: [], now: Date.now, timeoutMs: 1000, restMs },
  } as unknown as ImportWorkDependencies);
  const run = {
    job: { id: '652f1c3e9b1d4a0012ab34cd', params, progress: {}, createdAt: new Date() },
    ...{ signal: abort.signal, leaseMs: 60_000, assertHeld: () => undefined },
    checkpoint: async () => void checkpointsMs.push(performance.now()),
  } as unknown as JobRun;
  return { done: work(run), abort: () => abort.abort(), checkpointsMs };
}

test('after each part an import rests three times as long while requests are answered', async () => {
  const asked: number[] = [];
  const { done, checkpointsMs } = importOf((_took, times) => {
    asked.push(times);
    return 100;
  });
  await done;
  const [first = 0, , third = 0] = checkpointsMs;
  expect(third - first).toBeGreaterThanOrEqual(198);
  expect(asked).toEqual([3, 3, 3]);
});

test('a job that is stopped does not rest', async () => {
  const { done, abort, checkpointsMs } = importOf(() => 600_000);
  setTimeout(abort, 50);
  await expect(done).rejects.toThrow();
  expect(checkpointsMs).toHaveLength(1);
});

test('requests of the service let its import rest, and a metric says for how long', async () => {
  const service = await startTestService({ JOBS_POLL_MS: '50' });
  try {
    const client = createClient(service.baseUrl, { unchecked: true });
    const token = await login(client, service.admin.email, service.admin.password);
    const read = () => client('GET', '/api/auth/profile', { token });
    const restedSeconds = async () =>
      (await service.metrics.getSingleMetric('background_rest_seconds_total')?.get())?.values[0]
        ?.value;
    const importOne = () =>
      client('POST', '/api/users/import?dry_run=true', {
        ...{ token, raw: '{"email":"ada@example.org"}\n' },
        headers: { 'content-type': 'application/x-ndjson' },
      });
    expect(await restedSeconds()).toBe(0);
    await eventually('a rest', async () => {
      expect((await importOne()).status).toBe(202);
      for (let requests = 0; requests < 200; requests += 1) await read();
      return Number(await restedSeconds()) > 0;
    });
  } finally {
    await service.close();
  }
}, 60_000);

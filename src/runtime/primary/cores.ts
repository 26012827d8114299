import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

type ReadFile = (path: string) => string | undefined;

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The cgroup folders from this process's group up to the root; each may set a limit. */
function* upwards(root: string, group: string): Generator<string> {
  for (let path = group; path !== '' && path !== '/'; path = path.slice(0, path.lastIndexOf('/')))
    yield root + path;
  yield root;
}

/** cgroup v2: `cpu.max` holds "quota period" or "max period", both in µs. */
function quotaV2(read: ReadFile, group: string): number {
  let cores = Number.POSITIVE_INFINITY;
  for (const folder of upwards('/sys/fs/cgroup', group)) {
    const [quota, period] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ').map(Number);
    if (quota && period) cores = Math.min(cores, quota / period);
  }
  return cores;
}

/** cgroup v1: a quota of -1 means no limit. */
function quotaV1(read: ReadFile, group: string): number {
  let cores = Number.POSITIVE_INFINITY;
  for (const mount of ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct']) {
    for (const folder of upwards(mount, group)) {
      const quota = Number(read(`${folder}/cpu.cfs_quota_us`) ?? -1);
      const period = Number(read(`${folder}/cpu.cfs_period_us`) ?? 0);
      if (quota > 0 && period > 0) cores = Math.min(cores, quota / period);
    }
  }
  return cores;
}

/** The CPU quota of the cgroup, in cores; Infinity without a quota and outside Linux. */
export function cpuQuota(read: ReadFile = readOrNothing): number {
  // Lines of /proc/self/cgroup: "hierarchy:controllers:path"; hierarchy 0 with no controllers is
  // v2.
  let cores = Number.POSITIVE_INFINITY;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [hierarchy, controllers = '', ...path] = line.split(':');
    if (hierarchy === '0' && controllers === '')
      cores = Math.min(cores, quotaV2(read, path.join(':')));
    else if (controllers.split(',').includes('cpu'))
      cores = Math.min(cores, quotaV1(read, path.join(':')));
  }
  return cores;
}

/**
 * The number of workers: the requested one, else one per core that this process may use. A quota of
 * 1.5 cores gives 2 workers: a surplus worker costs little, half an unused core costs a third of
 * the throughput.
 */
export function workerCount(
  asked: number | 'auto',
  cores = availableParallelism(),
  quota = cpuQuota(),
): number {
  return asked === 'auto' ? Math.max(1, Math.min(cores, Math.ceil(quota))) : asked;
}

import type { Config } from '../../kernel/config/config';
import type { Lifecycle } from '../../kernel/lifecycle';
import type { Logger } from '../../platform/telemetry/logger';
import type { RecentLines } from '../../platform/telemetry/recent-lines';
import { startOps } from '../metrics/ops-server';
import { actionsOf, createOpsToken, viewOf } from '../ops/primary-ops';
import { startControl } from './control';
import type { Fleet } from './fleet';
import { createPrimaryMetrics } from './primary-metrics';

interface SideServices {
  readonly runtimeDir: string;
  readonly workersDir: string;
  /** The name of this primary. */
  readonly instance: string;
}

/** Metrics and control socket. The service runs without them: their failure is only logged. */
export async function startSideServices(
  { config, log, recent }: { config: Config; log: Logger; recent: RecentLines },
  fleet: Fleet,
  { runtimeDir, workersDir, instance }: SideServices,
  owned: Lifecycle,
): Promise<void> {
  const { opsHost, opsPort, opsNames, environment } = config.server;
  const token = createOpsToken();
  try {
    owned.own('control socket', await startControl(runtimeDir, fleet, token));
  } catch (error) {
    log.error({ err: error }, 'control socket unavailable');
  }
  if (opsPort === 0) return;
  try {
    const ops = await startOps({
      host: opsHost,
      port: opsPort,
      names: opsNames,
      runtimeDir: workersDir,
      own: createPrimaryMetrics(fleet),
      page: {
        ...{ environment, instance, recent },
        ...{ fleet: viewOf(fleet), actions: actionsOf(fleet, token) },
      },
    });
    owned.own('ops port', ops);
  } catch (error) {
    log.error({ err: error, opsHost, opsPort }, 'ops port unavailable, /metrics not served');
  }
}

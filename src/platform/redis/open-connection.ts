import type { Config } from '../../kernel/config/config';
import type { Logger } from '../telemetry/logger';
import { type Attributes, NO_TRACING, type Tracing } from '../telemetry/tracing';
import { createClusterDeployment } from './cluster';
import { createRedisConnection, type RedisConnection } from './connection';
import { type Deployment, type DeploymentEvents, parseAddresses } from './deployment';
import { createSentinelDeployment } from './sentinel';
import { createSingleDeployment } from './single';
import { tracedConnection } from './traced-connection';

export interface OpenRedisConnectionOptions {
  readonly url: string;
  readonly log: Logger;
  readonly now: () => number;
  readonly withoutBreaker?: boolean;
  readonly tracing?: Tracing | undefined;
}

/** A connection that receives no byte for this long is closed. */
const SILENCE_MS = 2000;

/** Builds the connection that the settings describe. No I/O: `start` connects. */
export function openRedisConnection(
  settings: Config['cache'],
  { url, log, now, withoutBreaker = false, tracing = NO_TRACING }: OpenRedisConnectionOptions,
): RedisConnection {
  const redis = createRedisConnection((events) => deploymentOf(settings, url, events), {
    probeKey: `${settings.keyPrefix}:probe`,
    commandTimeoutMs: settings.redisCommandTimeoutMs,
    queueMax: settings.redisQueueMax,
    log,
    now,
    withoutBreaker,
  });
  return tracing.isOn ? tracedConnection(redis, tracing, serverOf(settings, url)) : redis;
}

/** Sentinels and clusters decide themselves which server is asked. */
function serverOf({ redisMode }: Config['cache'], url: string): Attributes {
  if (redisMode !== 'single') return {};
  const { host, port } = parseAddresses(url).nodes[0];
  return { 'server.address': host, 'server.port': port };
}

function deploymentOf(
  settings: Config['cache'],
  url: string,
  events: DeploymentEvents,
): Deployment {
  const options = {
    addresses: parseAddresses(url),
    connectTimeoutMs: settings.redisCommandTimeoutMs * 5,
    silenceMs: SILENCE_MS,
  };
  if (settings.redisMode === 'cluster') return createClusterDeployment(options, events);
  if (settings.redisMode === 'single') return createSingleDeployment(options, events);
  return createSentinelDeployment(
    { ...options, name: settings.sentinelName, sentinelPassword: settings.sentinelPassword },
    events,
  );
}

import type { Config } from '../config';
import type { Logger } from '../observability/logger';
import { createClusterTopology } from './cluster';
import { createLink, type Link } from './link';
import { createSentinelTopology } from './sentinel';
import { createSingle } from './single';
import { parseAddresses, type Topology, type TopologyEvents } from './topology';

export interface OpenLinkOptions {
  readonly url: string;
  readonly log: Logger;
  readonly now: () => number;
  readonly withoutBreaker?: boolean;
}

/** A connection without a byte for this long is given up. */
const SILENCE_MS = 2000;

/** A link as the settings say. Without I/O: `start` connects. */
export function openLink(settings: Config['cache'], { url, log, now, withoutBreaker = false }: OpenLinkOptions): Link {
  return createLink((events) => topologyOf(settings, url, events), {
    probeKey: `${settings.keyPrefix}:probe`,
    commandTimeoutMs: settings.redisCommandTimeoutMs,
    queueMax: settings.redisQueueMax,
    log,
    now,
    withoutBreaker,
  });
}

function topologyOf(settings: Config['cache'], url: string, events: TopologyEvents): Topology {
  const options = { addresses: parseAddresses(url), connectTimeoutMs: settings.redisCommandTimeoutMs * 5, silenceMs: SILENCE_MS };
  if (settings.redisMode === 'cluster') return createClusterTopology(options, events);
  if (settings.redisMode === 'single') return createSingle(options, events);
  return createSentinelTopology({ ...options, name: settings.sentinelName, sentinelPassword: settings.sentinelPassword }, events);
}

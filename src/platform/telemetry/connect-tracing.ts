import type { Config } from '../../kernel/config/config';
import { type ActiveSpan, createActiveSpan } from './active-span';
import type { Logger } from './logger';
import { startOpenTelemetry } from './open-telemetry';
import { type Attributes, NO_TRACING, type Tracing } from './tracing';

/** Where the active span of this process is kept. undefined: tracing is off. */
export const openActiveSpan = ({
  endpoint,
}: Pick<Config['tracing'], 'endpoint'>): ActiveSpan | undefined =>
  endpoint === undefined ? undefined : createActiveSpan();

export interface ConnectTracingOptions {
  readonly settings: Config['tracing'];
  /** undefined: tracing is off. */
  readonly active: ActiveSpan | undefined;
  readonly log: Logger;
  /** Attributes of this process in traces. */
  readonly resource: Attributes;
}

/** Loads OpenTelemetry where it is configured. Connects to nothing: the first export does. */
export async function connectTracing(options: ConnectTracingOptions): Promise<Tracing> {
  const { settings, active, log, resource } = options;
  const { endpoint } = settings;
  if (endpoint === undefined || active === undefined) return NO_TRACING;
  return startOpenTelemetry({ ...settings, endpoint, active, log, resource });
}

import type { RecentLine } from '../../platform/telemetry/recent-lines';

interface WorkerView {
  readonly id: number;
  readonly pid: number;
  readonly state: string;
  readonly ageSeconds: number;
  readonly rssMb: number | undefined;
  readonly heapUsedMb: number | undefined;
  readonly loopDelayP99Ms: number | undefined;
  readonly utilisation: number | undefined;
  readonly connections: number | undefined;
}

/** The primary's view of its workers; PM2's workers have no primary of this service. */
export interface FleetView {
  wanted(): number;
  ready(): number;
  workers(): readonly WorkerView[];
}

export interface OpsActions {
  /** Whether `token` is that of this primary. */
  allows(token: string): boolean;
  /** Resolves with the text of a refusal, or undefined when it is done or under way. */
  act(action: string, value: string): string | undefined;
}

export interface OpsSources {
  /** The name of the primary that /health shows as well; undefined under PM2. */
  readonly instance?: string;
  /** NODE_ENV. */
  readonly environment: string;
  readonly fleet?: FleetView;
  readonly actions?: OpsActions;
  readonly recent: {
    lines(): readonly RecentLine[];
    listen(listener: (line: string, kept: RecentLine) => void): () => void;
  };
}

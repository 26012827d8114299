import type { Closable } from '../../kernel/lifecycle';
import type { Module } from '../../platform/module';
import type { Logger } from '../../platform/telemetry/logger';
import type { Metrics } from '../../platform/telemetry/metrics';
import type { DomainEvents } from '../domain-events';
import { createPersonalDataExport, type ExportOptions } from './export';
import { startPurger } from './purger';
import type { Removals } from './removals';
import { createExportRoutes, type ExportRoutesDependencies } from './routes';
import { privacyStorage } from './storage';

export { createRemovalOutbox, createRemovals, type Removals } from './removals';
export { privacyStorage } from './storage';

export interface PrivacyDependencies
  extends Pick<ExportRoutesDependencies, 'requesterOf' | 'assertRecentLogin'>,
    Pick<ExportOptions, 'emit' | 'now'> {
  readonly removals: Removals;
  /** The modules that keep something about users. */
  readonly contributors: readonly Pick<Module<DomainEvents>, 'purge' | 'personalData'>[];
  /** From the primary of the database. */
  readonly userExists: (id: string) => Promise<boolean>;
  /** Whether this process looks for removals that others left behind. */
  readonly sweeps: boolean;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Longest time of one operation of the database. */
  readonly timeoutMs: number;
}

/** Shows users what all modules keep about them, and purges removed users from it. */
export function createPrivacy(deps: PrivacyDependencies): Module<DomainEvents> {
  const { removals, contributors, userExists, sweeps, own, log, metrics } = deps;
  const parts = contributors.flatMap(({ personalData }) =>
    personalData === undefined ? [] : [personalData],
  );
  const purges = contributors.flatMap(({ purge }) => (purge === undefined ? [] : [purge]));
  const purger = own(
    'purger',
    startPurger({
      ...{ removals, userExists, purges, sweeps, log, metrics },
      closeTimeoutMs: 2 * deps.timeoutMs,
    }),
  );
  return {
    name: 'privacy',
    storage: privacyStorage,
    routes: createExportRoutes({
      ...{ ...deps, parts, exported: createPersonalDataExport({ ...deps, parts }) },
    }),
    subscribers: { UserRemoved: ({ userId }) => purger.kick(userId) },
  };
}

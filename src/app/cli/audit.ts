import { randomUUID } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import type { Connection } from 'mongoose';
import type { Config } from '../../kernel/config/config';
import { createAudit } from '../../modules/audit';
import type { Cause, DomainEvents, EmitEvent } from '../../modules/domain-events';
import { createEventBus } from '../../platform/events';
import type { Logger } from '../../platform/telemetry/logger';
import { createMetrics } from '../../platform/telemetry/metrics';

/** The user of this command, as the audit log names it. */
function cliActor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // The user id has no entry in the user database.
    return `cli:uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

/** The cause of the events of one command. */
export function commandCause(): Cause & { readonly actor: string } {
  const host = hostname();
  return {
    actor: cliActor(),
    client: { network: host, ipPrefix: host, userAgent: 'command line', requestId: randomUUID() },
  };
}

export interface AuditedOptions {
  readonly config: Config;
  readonly connection: Connection;
  readonly log: Logger;
  readonly now: () => number;
}

/** Runs `work` with the audit module only. When it resolves, its events are in the audit log. */
export async function withAuditLog<T>(
  { config, connection, log, now }: AuditedOptions,
  work: (emit: EmitEvent) => Promise<T>,
): Promise<T> {
  const audit = createAudit({
    connection,
    log,
    metrics: createMetrics(),
    timeoutMs: config.database.operationTimeoutMs,
    ttlDays: config.audit.ttlDays,
    now,
  });
  const bus = createEventBus<DomainEvents>(log);
  bus.subscribe(audit.subscribers ?? {});
  try {
    return await work(bus.emit);
  } finally {
    await audit.close();
  }
}

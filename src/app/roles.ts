import { type Config, type ProcessRole, parentToFollow } from '../kernel/config/config';
import type { Logger } from '../platform/telemetry/logger';
import type { RecentLines } from '../platform/telemetry/recent-lines';
import type { Tracing } from '../platform/telemetry/tracing';
import { exitCodeOf } from '../runtime/exit-codes';
import { runPrimary } from '../runtime/primary/primary';
import { createMember } from '../runtime/worker/member';
import { loadEmbeddedMongo } from './development-database';
import { prepareDatabase } from './prepare';
import { runWorker } from './worker';

/** The parts that a process has in every role. */
interface ProcessParts {
  readonly config: Config;
  readonly log: Logger;
  readonly recent: RecentLines;
  readonly tracing: Tracing;
}

/** Resolves with the exit code, as `serveAsWorker` does. */
export function serveAsPrimary(parts: ProcessParts): Promise<number> {
  const { config, log } = parts;
  const { embedded, dataDir } = config.database;
  const mode = embedded === 'off' ? 'auto' : embedded;
  return runPrimary({
    ...parts,
    startDatabase: async () =>
      (await loadEmbeddedMongo()).startEmbeddedDatabase({ mode, dataDir, log }),
    prepareDatabase: (uri) => prepare(uri, parts),
    hasTerminal: process.stdin.isTTY === true,
    parentPid: parentToFollow(),
  });
}

export async function serveAsWorker(parts: ProcessParts, role: ProcessRole): Promise<number> {
  const { config, log, recent, tracing } = parts;
  const { uri, dataDir } = config.database;
  const databaseUri = uri ?? (await loadEmbeddedMongo()).embeddedUri(dataDir);
  const member = createMember({ config, role, log, recent });
  try {
    // To prepare twice does no harm.
    if (role.prepares) await prepare(databaseUri, parts);
    // A worker that receives SIGTERM before it is ready does not first wait for its stores.
    return await Promise.race([
      runWorker({ config, log, member, tracing, databaseUri }),
      member.done,
    ]);
  } catch (error) {
    member.fail(error, exitCodeOf(error));
    return member.done;
  }
}

const prepare = (databaseUri: string, { config, log, tracing }: ProcessParts) =>
  prepareDatabase(databaseUri, config, log, {
    embedded: config.database.uri === undefined,
    tracing,
  });

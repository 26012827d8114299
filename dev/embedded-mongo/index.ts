import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, toolEnvironment } from '../../src/kernel/config/config';
import { faultOfFolder } from '../../src/kernel/config/folders';
import type { Closable } from '../../src/kernel/lifecycle';
import type { Logger } from '../../src/platform/telemetry/logger';
import { claimFile } from './claim';
import { type Layout, layoutOf, PACKAGE_NAME, prepareFolders } from './layout';
import { type Mode, type Starter, type StarterContext, startersFor } from './starters';
import { type HostCommand, type Supervised, superviseHost } from './supervisor';
import { messageOf } from './system';

export { embeddedUri } from './layout';

export interface EmbeddedDatabase extends Closable {
  readonly uri: string;
  /** `mongodb-engine (npm)`, `mongod (/its/path)` or `mongodb-memory-server`. */
  readonly engine: string;
  state(): 'up' | 'restarting' | 'failed';
  /** Pid of the process that runs the database; undefined while none runs. */
  pid(): number | undefined;
}

export interface EmbeddedOptions {
  readonly mode: Mode;
  readonly dataDir: string;
  readonly log: Logger;
  /** Longest time of one start attempt, after its preparation. */
  readonly startTimeoutMs?: number;
  /** Receives progress lines for the user; by default they are logged. */
  readonly progress?: (line: string) => void;
}

export class DataFolderInUseError extends Error {
  override readonly name = 'DataFolderInUseError';
  constructor(dataDir: string, holder: string) {
    super(
      `The data folder ${dataDir} is in use by ${holder}. Stop that one, give this one another DATA_DIR, or set MONGODB_URI for both.`,
    );
  }
}

export class NoDatabaseError extends Error {
  override readonly name = 'NoDatabaseError';
  constructor(reasons: readonly string[]) {
    super(
      [
        'No embedded database could be started:',
        ...reasons.map((reason) => `  - ${reason}`),
        'What can be done, any one of:',
        '  - set MONGODB_URI to a MongoDB that runs elsewhere',
        '  - set MONGOMS_SYSTEM_BINARY to the path of a mongod, or put one on the PATH',
        '  - set MONGOMS_DOWNLOAD_MIRROR to a mirror of the downloads of MongoDB that is reachable from here',
      ].join('\n'),
    );
  }
}

/**
 * Starts the database of development and tests and keeps it running until `close()`. Its URI is
 * derived from the data folder only (`embeddedUri`) and is stable over restarts. Not for
 * production.
 */
export async function startEmbeddedDatabase(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { dataDir, log, startTimeoutMs = 20_000, progress = (line) => log.info(line) } = options;
  const fault = faultOfFolder(dataDir);
  if (fault !== undefined) throw new ConfigError([{ env: 'DATA_DIR', message: fault }]);
  const layout = layoutOf(dataDir);
  prepareFolders(layout);
  const claim = claimFile(layout.ownerFile);
  if (!claim.held) {
    throw new DataFolderInUseError(
      layout.dataDir,
      claim.pid === undefined ? 'another process' : `process ${claim.pid}`,
    );
  }
  try {
    const context: StarterContext = {
      layout,
      environment: toolEnvironment(PACKAGE_NAME),
      progress,
    };
    const { supervised, engine } = await startFirst(startersFor(options.mode, context), {
      layout,
      log,
      startTimeoutMs,
    });
    log.info(
      { engine, dataDir: layout.dataDir, databasePid: supervised.pid() },
      `Embedded database for development: ${engine}, data in ${layout.dataDir}`,
    );
    return {
      uri: layout.uri,
      engine,
      state: supervised.state,
      pid: supervised.pid,
      async close() {
        await supervised.close();
        rmSync(layout.runDir, { recursive: true, force: true });
        claim.release();
      },
    };
  } catch (error) {
    claim.release();
    throw error;
  }
}

const ORPHAN_WAIT_MS = 4000;

interface StartContext {
  readonly layout: Layout;
  readonly log: Logger;
  readonly startTimeoutMs: number;
}

async function startFirst(
  starters: readonly Starter[],
  context: StartContext,
): Promise<{ supervised: Supervised; engine: string }> {
  const reasons: string[] = [];
  for (const starter of starters) {
    try {
      const prepared = await starter.prepare();
      if (prepared !== undefined)
        return { supervised: await start(prepared.command, context), engine: prepared.engine };
      reasons.push(`${starter.name}: there is none`);
    } catch (error) {
      if (error instanceof DataFolderInUseError) throw error;
      context.log.debug({ err: error }, `${starter.name} cannot be used`);
      reasons.push(`${starter.name}: ${messageOf(error).replace(/\s+/g, ' ')}`);
    }
  }
  throw new NoDatabaseError(reasons);
}

/** Retries while the database of a service that was just killed still closes its files. */
async function start(command: HostCommand, context: StartContext): Promise<Supervised> {
  const { layout, log, startTimeoutMs } = context;
  const deadline = performance.now() + ORPHAN_WAIT_MS;
  while (true) {
    try {
      return await superviseHost({ command, tempDir: layout.runDir, startTimeoutMs, log });
    } catch (error) {
      if (!/DBPathInUse|Unable to lock/.test(messageOf(error))) throw error;
      if (performance.now() > deadline)
        throw new DataFolderInUseError(layout.dataDir, 'another process');
      await sleep(100);
    }
  }
}

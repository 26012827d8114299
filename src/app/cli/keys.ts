import { type Config, loadConfig } from '../../kernel/config/config';
import {
  createKeyReaders,
  createKeyRevocation,
  JWKS_MAX_AGE_SECONDS,
  type KeyReader,
  keyState,
  openKeyStore,
  type RotationMode,
  type RotationRules,
  rotateKeys,
  rotationRules,
} from '../../modules/auth';
import { createLogger } from '../../platform/telemetry/logger';
import { parseArguments } from './arguments';
import { commandCause, withAuditLog } from './audit';
import { withDatabase } from './database';
import { exitCodesHelp, onlyCommand, runCli, UsageError } from './run';

const USAGE = `Usage: npm run keys -- list
       npm run keys -- rotate [--now | --compromised]
In an image without npm: node dist/cli/keys.js COMMAND …

rotate         publishes the next signing key; it signs after KEY_LEAD_SECONDS, when verifiers have
               fetched it.
--now          it signs as soon as every process of the service has read it. Returns when all of
               them sign with it.
--compromised  it signs at once, and all other keys are deleted: all access tokens become invalid.
               Returns when no process of the service accepts another key (1.25 times KEY_POLL_MS;
               a process without connection to the database rejects them after ten times that).

The output names the database. A rotation is in the audit log as cli:USER.

${exitCodesHelp()}`;

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2), {
    now: 'boolean',
    compromised: 'boolean',
  });
  if (options.has('help')) return void process.stdout.write(USAGE);
  const command = onlyCommand(words, ['list', 'rotate'], USAGE);
  const flags = [...options.keys()];
  if (command === 'list' && flags.length > 0)
    throw new UsageError(`list does not take --${flags[0]}.\n\n${USAGE}`);
  if (flags.length > 1) throw new UsageError(`Give --now or --compromised, not both.\n\n${USAGE}`);
  const config = loadConfig();
  if (config.auth.jwtSecret !== undefined) {
    throw new UsageError(
      'JWT_SECRET is set: it signs the tokens, and there are no keys to rotate.\n',
    );
  }
  const mode = (flags[0] ?? 'lead') as RotationMode;
  await run(config, command === 'rotate' ? mode : undefined);
}

async function run(config: Config, rotate: RotationMode | undefined): Promise<void> {
  const rules = rotationRules(config);
  const log = createLogger({ level: 'warn', name: 'keys' }, process.stderr);
  await withDatabase(config, log, async ({ connection, clock }, where) => {
    const store = await openKeyStore(config, connection);
    if (rotate !== undefined) {
      const readers = createKeyReaders(connection);
      const algorithm = config.auth.signingAlgorithm;
      const rotation = {
        store,
        readers,
        algorithm,
        rules,
        mode: rotate,
        now: clock.now,
        waiting: reportWaiting(),
        revoke: createKeyRevocation({ config, connection, log, now: clock.now }),
      };
      const { generation, activeFrom } = await rotateKeys(rotation);
      await withAuditLog({ config, connection, log, now: clock.now }, async (emit) =>
        emit('SigningKeyRotated', { reason: rotate, ...commandCause() }),
      );
      process.stdout.write(
        `Key ${generation} signs from ${activeFrom.toISOString()} (${where}).\n${outcome(rotate, rules, { activeFromMs: activeFrom.getTime(), nowMs: clock.now() })}`,
      );
    }
    const keys = await store.list();
    for (const [index, { generation, alg, activeFrom, verification }] of keys.entries()) {
      const columns = [
        generation,
        keyState(keys, index, clock.now(), rules).padEnd(8),
        alg,
        activeFrom.toISOString(),
        verification.kid,
      ];
      process.stdout.write(`${columns.join('  ')}\n`);
    }
    if (keys.length === 0)
      process.stdout.write('There are no keys yet: the first worker creates one.\n');
  });
}

/** States which verifiers still accept the previous keys, and until when. */
function outcome(
  mode: RotationMode,
  { leadSeconds, retireSeconds }: RotationRules,
  times: { activeFromMs: number; nowMs: number },
): string {
  const after = (from: number, seconds: number) => new Date(from + seconds * 1000).toISOString();
  if (mode !== 'compromised')
    return `Tokens of the previous key are accepted until ${after(times.activeFromMs, retireSeconds)} at the latest.\n`;
  const copies = after(times.nowMs, Math.min(leadSeconds, 2 * JWKS_MAX_AGE_SECONDS));
  return `No process of the service accepts another key. Resource servers that respect the max-age of the key set reject the other keys from ${copies} on.\n`;
}

/** Prints a line whenever the number of processes that it waits for falls. */
function reportWaiting(): (readers: readonly KeyReader[]) => void {
  let before = Number.POSITIVE_INFINITY;
  return (readers) => {
    if (readers.length >= before) return;
    before = readers.length;
    const latest = new Date(
      Math.max(...readers.map(({ freshUntil }) => freshUntil.getTime())),
    ).toISOString();
    const named = readers.slice(0, 5).map(({ host, pid }) => `${host} ${pid}`);
    process.stderr.write(
      `Waiting for ${readers.length} processes that have not read the keys yet (${named.join(', ')}…), until ${latest} at the latest.\n`,
    );
  };
}

runCli(main);

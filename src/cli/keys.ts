import { keyState } from '../auth/key-schedule';
import { openKeyStore, rotationRules } from '../auth/open-keyring';
import { type RotationMode, rotateKeys } from '../auth/rotate-keys';
import { type Config, ConfigError, loadConfig } from '../config';
import { createLogger } from '../observability/logger';
import { parseArguments } from './arguments';
import { withDatabase } from './database';

const USAGE = `Usage: npm run keys -- list
       npm run keys -- rotate [--now | --compromised]

rotate       publishes the next signing key; it signs after KEY_LEAD_SECONDS, so that nobody notices.
--now        it signs at once; a worker that has not looked yet refuses its tokens for up to KEY_POLL_MS.
--compromised  it signs at once, and every other key is forgotten: all access tokens end.
`;

class UsageError extends Error {}

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2));
  const [command] = words;
  const flags = [...options.keys()];
  const known = flags.every((flag) => flag === 'now' || flag === 'compromised') && flags.length <= 1;
  if (words.length !== 1 || !known || (command !== 'list' && command !== 'rotate')) throw new UsageError(USAGE);
  const config = loadConfig();
  if (config.auth.jwtSecret !== undefined) {
    throw new UsageError('JWT_SECRET is set: tokens are signed with that secret, and there is no key set to rotate.\n');
  }
  const mode = (flags[0] ?? 'lead') as RotationMode;
  await run(config, command === 'rotate' ? mode : undefined);
}

async function run(config: Config, rotate: RotationMode | undefined): Promise<void> {
  const rules = rotationRules(config);
  await withDatabase(config, createLogger({ level: 'warn', name: 'keys' }), async ({ connection }) => {
    const store = await openKeyStore(config, connection);
    if (rotate !== undefined) {
      const { generation, activeFrom } = await rotateKeys({
        store,
        algorithm: config.auth.signingAlgorithm,
        rules,
        mode: rotate,
        now: Date.now,
      });
      process.stdout.write(`Key ${generation} signs from ${activeFrom.toISOString()}.\n`);
    }
    const keys = await store.list();
    for (const [index, { generation, alg, activeFrom, verification }] of keys.entries()) {
      const columns = [generation, keyState(keys, index, Date.now(), rules).padEnd(8), alg, activeFrom.toISOString(), verification.kid];
      process.stdout.write(`${columns.join('  ')}\n`);
    }
    if (keys.length === 0) process.stdout.write('There are no keys yet: the first worker makes one.\n');
  });
}

main().catch((error: unknown) => {
  const expected = error instanceof UsageError || error instanceof ConfigError;
  process.stderr.write(expected ? error.message : `Not done: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = expected ? 64 : 1;
});

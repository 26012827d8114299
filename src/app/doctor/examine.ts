import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { type Config, ConfigError, loadConfig, readConfigFile } from '../../kernel/config/config';
import { createLogger } from '../../platform/telemetry/logger';
import { withDatabase } from '../cli/database';
import { UsageError } from '../cli/run';
import { loadCheckedConfig } from '../service-config';
import { checkEdge } from './edge';
import { nginxKeepAliveSeconds } from './edge-nginx';
import { CHECKS, type Report, record, skip } from './finding';
import { checkHosts } from './hosts';
import { checkHostsSettings, type NamedConfig } from './hosts-settings';
import { checkOpsHost } from './ops-host';
import { checkPm2 } from './pm2';
import { checkKeepAlive, checkSettings } from './settings';
import { checkDatabase, checkRedis } from './stores';
import { checkTarget } from './target';

export const DOCTOR_OPTIONS = {
  target: 'string',
  hosts: 'string',
  env: 'string',
  nginx: 'string',
  haproxy: 'string',
  pm2: 'string',
  'balancer-idle-seconds': 'string',
  'settings-only': 'boolean',
  ignore: 'string',
  json: 'boolean',
} as const;

const DEFAULT_IDLE_SECONDS = 60;

type Options = ReadonlyMap<string, string>;

export const listOf = (options: Options, name: string): string[] =>
  (options.get(name) ?? '').split(',').filter((part) => part !== '');

/** The usable settings; the faults of the others are findings. */
async function readSettings(report: Report, files: readonly string[]): Promise<NamedConfig[]> {
  if (files.length === 0) return named(report, 'the environment', loadCheckedConfig);
  const read = files.map((file) => named(report, basename(file), async () => readConfigFile(file)));
  return (await Promise.all(read)).flat();
}

async function named(
  report: Report,
  name: string,
  read: () => Promise<Config>,
): Promise<NamedConfig[]> {
  try {
    const config = await read();
    record(report, 'settings', undefined);
    return [{ name, config }];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { env, message } of error.faults)
      record(report, 'settings', {
        severity: 'fault',
        seen: `${name}: ${env} ${message}`,
        means: 'The service refuses to start (78), or does not listen on that address.',
        fix: 'docs/configuration.md',
      });
    return [];
  }
}

async function checkStores(report: Report, config: Config): Promise<void> {
  const log = createLogger({ level: 'silent', name: 'doctor' });
  const quick = { ...config, database: { ...config.database, connectWaitMs: 0 } };
  try {
    await withDatabase(quick, log, (database) => checkDatabase(report, config, database));
    record(report, 'database-reachable', undefined);
  } catch (error) {
    record(report, 'database-reachable', {
      severity: 'fault',
      seen: `MongoDB: ${error instanceof Error ? error.message : String(error)}`,
      means: 'The service does not start (69), or answers 503.',
      fix: 'Check MONGODB_URI, the network, user and password.',
    });
  }
  await checkRedis(report, config);
}

/** Values that would be ignored in silence. */
function requireValues(options: Options): void {
  const idle = options.get('balancer-idle-seconds');
  if (idle !== undefined && !/^[1-9]\d{0,5}$/.test(idle))
    throw new UsageError(
      `--balancer-idle-seconds must be a whole number of seconds: it is ${idle}`,
    );
  const names: readonly string[] = CHECKS;
  const unknown = listOf(options, 'ignore').filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new UsageError(
      `--ignore: there is no check ${unknown.join(', ')}; there are ${names.join(', ')}`,
    );
}

function requireFiles(options: Options): void {
  for (const name of ['env', 'nginx', 'haproxy', 'pm2'])
    for (const file of listOf(options, name))
      if (!existsSync(file)) throw new UsageError(`--${name}: there is no file ${file}`);
  for (const name of ['target', 'hosts'])
    for (const url of listOf(options, name))
      if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url))
        throw new UsageError(`--${name} must be http://… or https://…: it is ${url}`);
}

/** After this time the balancer closes idle connections to the service. */
function balancerSeconds(options: Options): number {
  const nginx = options.get('nginx');
  const given =
    options.get('balancer-idle-seconds') ??
    (nginx === undefined ? undefined : nginxKeepAliveSeconds(nginx));
  return Number(given) || DEFAULT_IDLE_SECONDS;
}

/** Of the first host, where the settings are usable. */
async function examineSettings(report: Report, options: Options): Promise<Config | undefined> {
  const configs = await readSettings(report, listOf(options, 'env'));
  for (const { name, config } of configs) {
    checkSettings(report, config);
    const { keepAliveTimeoutMs } = config.server;
    checkKeepAlive(report, name, keepAliveTimeoutMs / 1000, balancerSeconds(options));
  }
  if (configs.length > 1) checkHostsSettings(report, configs);
  const [own] = options.has('env') ? [] : configs;
  if (own !== undefined) checkOpsHost(report, own.config.server);
  const config = configs[0]?.config;
  if (config !== undefined && !options.has('settings-only')) await checkStores(report, config);
  return config;
}

async function examineEdge(report: Report, options: Options): Promise<void> {
  const files = (['nginx', 'haproxy'] as const).flatMap((kind) =>
    listOf(options, kind).map((file) => ({ kind, file })),
  );
  for (const one of files) await checkEdge(report, one);
  if (files.length === 0)
    skip(report, 'edge-repeats-writes', 'no configuration of an edge (--nginx, --haproxy)');
}

/** All checks that the options ask for. */
export async function examine(report: Report, options: Options): Promise<void> {
  requireValues(options);
  requireFiles(options);
  const hosts = listOf(options, 'hosts');
  const [target, pm2] = [options.get('target'), options.get('pm2')];
  // A target without a word about settings is looked at from outside alone.
  const isRemote = !options.has('env') && (target !== undefined || hosts.length > 0);
  const config = isRemote ? undefined : await examineSettings(report, options);
  if (isRemote) skip(report, 'settings', 'looked at from outside alone (--env FILE adds settings)');
  if (pm2 !== undefined) await checkPm2(report, pm2, config ?? loadConfig());
  await examineEdge(report, options);
  if (hosts.length > 0) await checkHosts(report, hosts, balancerSeconds(options));
  if (target !== undefined) await checkTarget(report, target, config);
}

import { checkTogether } from './checks';
import type { Setting } from './setting';
import { type Config, type Environment, type Fault, settings } from './settings';

/** Lists all faults of the settings; the message is for an operator's terminal. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super(
      `${faults.length === 1 ? 'A setting is' : `${faults.length} settings are`} not usable:\n${faults.map((f) => `  ${f.env} ${f.message}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

/** By its name: the embedded database is another bundle, with a class of its own. */
export const isConfigError = (error: unknown): error is ConfigError =>
  error instanceof Error && error.name === 'ConfigError';

/** The values; one with a fault is undefined. */
export interface SettingsRead {
  readonly config: Config;
  readonly faults: readonly Fault[];
}

/** A secret may also be given as `NAME_FILE`. */
export const faultySettings = (faults: readonly Fault[]): ReadonlySet<string> =>
  new Set(faults.map(({ env }) => env.replace(/_FILE$/, '')));

/** With the faults of a later step, except those of settings that have one already. */
export function withFurther(faults: readonly Fault[], found: readonly Fault[]): readonly Fault[] {
  const bad = faultySettings(faults);
  return [...faults, ...found.filter(({ env }) => !bad.has(env))];
}

/** Pure: the same environment gives the same settings. `found`: faults of an earlier step. */
export function parseSettings(
  environment: Environment,
  found: readonly Fault[] = [],
): SettingsRead {
  const faults: Fault[] = [...found];
  const sections = Object.entries(settings).map(([name, section]) => {
    const values = Object.entries(section).map(([key, one]: [string, Setting<unknown>]) => {
      // An empty variable counts as unset: `FOO=` in a .env or compose file usually means that.
      const given = environment[one.env];
      const result = one.schema.safeParse(
        given === undefined || given === '' ? one.fallback : given,
      );
      if (result.success) return [key, result.data];
      const shown =
        one.secret || given === undefined
          ? ''
          : `: it is ${JSON.stringify(given.replace(/\/\/[^/@]*@/, '//…@'))}`;
      faults.push({
        env: one.env,
        message: `${result.error.issues[0]?.message ?? 'is not valid'}${shown}`,
      });
      return [key, undefined];
    });
    return [name, Object.freeze(Object.fromEntries(values))];
  });
  const parsed = Object.freeze(Object.fromEntries(sections)) as Config;
  return { config: parsed, faults: withFurther(faults, checkTogether(parsed)) };
}

/** Throws a ConfigError that lists all faults. */
export function usable({ config, faults }: SettingsRead): Config {
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

export const parseConfig = (environment: Environment): Config => usable(parseSettings(environment));

/** Names that other programs read from the same `.env`: Docker Compose, ecosystem.config.js. */
const OTHERS =
  /^(COMPOSE_\w+|MONGO_PASSWORD|MONGO_KEY|MONGO_APP_PASSWORD|(NODE|NGINX|MONGO|REDIS)_IMAGE|REDIS_PASSWORD|EDGE_\w+|API_HOSTS|API_IMAGE|TRUSTED_PROXIES|PM2_APP_NAME)$/;

/** Names of all settings, and of the secret ones, which can also be given as `NAME_FILE`. */
export interface Names {
  readonly settings: readonly string[];
  readonly secrets: readonly string[];
}

/** Edit distance: a letter inserted, deleted or replaced, or two adjacent letters swapped. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const at = (r: number, c: number) => rows[r]?.[c] ?? 0;
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? at(i - 2, j - 2) + 1
          : Number.POSITIVE_INFINITY;
      row[j] = Math.min((row[j - 1] ?? 0) + 1, at(i - 1, j) + 1, at(i - 1, j - 1) + same, swapped);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}

/** `PORT_FILE`: only secrets are read from files. */
const withoutFile = (name: string, { settings }: Names): string | undefined =>
  settings.find((one) => name === `${one}_FILE`);

/** The known name that was probably intended. */
export function closest(name: string, known: readonly string[]): string | undefined {
  const folded = (text: string) => text.toUpperCase().replaceAll('-', '_');
  const [best] = known
    .map((one) => ({ one, steps: distance(folded(name), folded(one)) }))
    .sort((x, y) => x.steps - y.steps);
  return best !== undefined && best.steps <= Math.max(1, Math.floor(best.one.length / 4))
    ? best.one
    : undefined;
}

const knownNames = ({ settings, secrets }: Names): readonly string[] => [
  ...settings,
  ...secrets.map((name) => `${name}_FILE`),
];

/** Names in `.env` that no program reads. Without a fault they would be ignored silently. */
export function unknownNames(
  given: readonly string[],
  names: Names,
): { env: string; message: string }[] {
  const known = knownNames(names);
  return given
    .filter((name) => !known.includes(name) && !OTHERS.test(name))
    .map((env) => {
      const plain = withoutFile(env, names);
      if (plain !== undefined)
        return { env, message: `is in .env, but ${plain} is read from no file: set ${plain}` };
      const meant = closest(env, known);
      const hint =
        meant === undefined
          ? 'remove it, or set it in the environment of the program that reads it'
          : `did you mean ${meant}?`;
      return { env, message: `is in .env, but is not a setting of this service: ${hint}` };
    });
}

/** Variables of the OpenTelemetry specification that only seem to do something here. */
const STANDARD: Readonly<Record<string, string>> = {
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  OTEL_TRACES_SAMPLER: 'OTEL_TRACES_SAMPLER_ARG',
};

/** Shorter names are one edit away from too many other words. */
const MISSPELT_MIN_LENGTH = 6;

/**
 * Names in the environment that are one edit away from an unset setting, or name a file for one
 * that is no secret. Other programs share the
 * environment, so these are warnings; unknown names in `.env` are faults.
 */
export function misspeltNames(
  given: readonly string[],
  names: Names,
): { env: string; meant: string }[] {
  const known = knownNames(names);
  const isSet = new Set(given);
  return given
    .filter((env) => env.length >= MISSPELT_MIN_LENGTH && !known.includes(env) && !OTHERS.test(env))
    .flatMap((env) => {
      const meant =
        withoutFile(env, names) ??
        known.find(
          (name) => (distance(env, name) === 1 || STANDARD[env] === name) && !isSet.has(name),
        );
      return meant === undefined ? [] : [{ env, meant }];
    });
}

/**
 * Exit codes of the primary and the workers, after sysexits.h: they tell an orchestrator the cause.
 */
export const exitCodes = {
  /** Stopped on request; all requests in flight were finished. */
  ok: 0,
  /** Stopped on request; the deadline passed and requests were interrupted. */
  forced: 1,
  /**
   * An index that the service needs cannot be created: the collection has duplicates, or another
   * index of that name (EX_DATAERR).
   */
  data: 65,
  /** MongoDB is unreachable, or the embedded database did not start (EX_UNAVAILABLE). */
  unavailable: 69,
  /** No worker became ready, or an unrecoverable error occurred (EX_SOFTWARE). */
  software: 70,
  /** The address is in use or not available on this host (EX_OSERR). */
  address: 71,
  /**
   * A setting is invalid, or the database refuses its user or password: a restart does not help
   * (EX_CONFIG).
   */
  config: 78,
} as const;

/** Codes after which a restart fails in the same way until an operator fixes the cause. */
export const isFinal = (code: number | null): boolean =>
  code === exitCodes.config || code === exitCodes.data;

/**
 * MongoDB's own codes: DuplicateKey; CannotCreateIndex, IndexOptionsConflict,
 * IndexKeySpecsConflict.
 */
const DATA_CODES: ReadonlySet<unknown> = new Set([11000, 67, 85, 86]);
/** Unauthorized, AuthenticationFailed, AtlasError. */
const ACCESS_CODES: ReadonlySet<unknown> = new Set([13, 18, 8000]);
/**
 * Errors are recognised by name, so that this module need not import the driver or the embedded
 * database.
 */
const UNAVAILABLE =
  /^(MongooseServerSelection|MongoServerSelection|MongoNetwork|MongoWaitQueue|NoDatabase|DataFolderInUse)/;

/** Compatibility: options of the URI that this server does not support (loadBalanced). */
const UNFIT = /^(ConfigError|MongoParseError|MongoCompatibilityError)$/;

/** The exit code of a start that failed with `error`. */
export function exitCodeOf(error: unknown): number {
  for (const one of chain(error)) {
    const { name, code, syscall } = one as Error & { code?: unknown; syscall?: unknown };
    if (UNFIT.test(name) || ACCESS_CODES.has(code)) return exitCodes.config;
    if (DATA_CODES.has(code)) return exitCodes.data;
    // `bind`: of a worker whose port PM2 opens.
    if (syscall === 'listen' || syscall === 'bind') return exitCodes.address;
    // Server names of mongodb+srv that do not resolve.
    if (UNAVAILABLE.test(name) || /^query/.test(String(syscall))) return exitCodes.unavailable;
  }
  return exitCodes.software;
}

/** The error and its causes. */
function* chain(error: unknown): Generator<Error> {
  let next = error;
  for (let depth = 0; next instanceof Error && depth < 5; depth += 1) {
    yield next;
    next = next.cause;
  }
}

/** A hint for the operator when a start failed with `code` at the database. */
export function databaseAdvice(code: number): string {
  if (code === exitCodes.config)
    return 'the database refuses this user, password or option: see MONGODB_URI';
  if (code === exitCodes.data)
    return 'an index of this version cannot be created on the existing data: see docs/operate.md';
  return 'the database cannot be used';
}

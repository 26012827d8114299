import type { AccessTokenClaims, SignedToken } from './claims.js';

/** One entry of the revocation log. It says which tokens have ended with it. */
export interface RevocationEntry {
  readonly sequence: number;
  /** RFC 3339. */
  readonly time: string;
  /** `subject_removed`: every token of the subject. */
  readonly type: string;
  /** The user or service account. */
  readonly subject?: string;
  /** The subject's tokens of lower versions. */
  readonly session_version?: number;
  /** The session that was kept, and the lowest version of its tokens. */
  readonly kept_session?: { readonly id: string; readonly version: number };
  /** The tokens of these sessions. */
  readonly sessions?: readonly string[];
  /** These tokens, by their `jti`. */
  readonly tokens?: readonly string[];
  /** The tokens that these keys signed. */
  readonly keys?: readonly string[];
}

/** The types whose members this version knows. */
const KNOWN_TYPES = new Set(['tokens_ended', 'subject_removed', 'keys_removed']);

/** `unknown`: the token is older than what is remembered. */
type Standing = 'stands' | 'ended' | 'unknown';

export interface EndedTokens {
  apply(entry: RevocationEntry): void;
  /** Forgets what ended so long ago that all its tokens have expired. */
  forgetBefore(timeMs: number): void;
  standingOf(token: SignedToken): Standing;
  readonly size: number;
}

interface EndedSubject {
  readonly timeMs: number;
  readonly version: number;
  readonly kept: { readonly id: string; readonly version: number } | undefined;
}

/** Tokens may be issued by a clock that is a little apart from that of the log. */
const APART_SECONDS = 60;

/**
 * The ended tokens, bounded. A check is at most six look-ups in maps, and most of them are empty.
 */
export function createEndedTokens(maxEnded: number): EndedTokens {
  const subjects = new Map<string, EndedSubject>();
  const sessions = new Map<string, { readonly timeMs: number }>();
  const tokens = new Map<string, { readonly timeMs: number }>();
  const keys = new Map<string, { readonly timeMs: number }>();
  const all = [subjects, sessions, tokens, keys] as const;
  /** Tokens that were issued until then may be among the forgotten ones. */
  let floorSeconds = Number.NEGATIVE_INFINITY;
  const raiseFloor = (timeMs: number) => {
    floorSeconds = Math.max(floorSeconds, timeMs / 1000 + APART_SECONDS);
  };
  const size = () => subjects.size + sessions.size + tokens.size + keys.size;

  /** The map whose first entry is the oldest one. */
  function oldest() {
    let found: { map: Map<string, unknown>; key: string; timeMs: number } | undefined;
    for (const map of all) {
      const first = map.entries().next();
      if (first.done === true) continue;
      const [key, { timeMs }] = first.value;
      if (found === undefined || timeMs < found.timeMs) found = { map, key, timeMs };
    }
    return found;
  }

  function put<T>(map: Map<string, T>, key: string, value: T): void {
    // To the end: the maps are in the order of their times.
    map.delete(key);
    map.set(key, value);
    while (size() > maxEnded) {
      const first = oldest();
      if (first === undefined) return;
      first.map.delete(first.key);
      raiseFloor(first.timeMs);
    }
  }

  const putAll = (
    map: Map<string, { readonly timeMs: number }>,
    names: readonly string[] | undefined,
    timeMs: number,
  ) => {
    for (const one of names ?? []) put(map, one, { timeMs });
  };

  function endSubject(subject: string, next: EndedSubject): void {
    const known = subjects.get(subject);
    if (known === undefined || known.version <= next.version) put(subjects, subject, next);
  }

  const endedWith = (sub: string, sid: string | undefined, ver: number): boolean => {
    if (sid !== undefined && sessions.size > 0 && sessions.has(sid)) return true;
    const ended = subjects.get(sub);
    if (ended === undefined || ver >= ended.version) return false;
    const { kept } = ended;
    return kept === undefined || kept.id !== sid || ver < kept.version;
  };

  function hasEnded({ sub, sid, ver, jti, act }: AccessTokenClaims, kid: string): boolean {
    return (
      (keys.size > 0 && keys.has(kid)) ||
      (tokens.size > 0 && tokens.has(jti)) ||
      endedWith(sub, sid, ver) ||
      (act !== undefined && endedWith(act.sub, act.sid, act.ver))
    );
  }

  return {
    apply(entry) {
      const { time, type, subject, session_version: ended, kept_session: kept } = entry;
      const timeMs = Date.parse(time);
      putAll(sessions, entry.sessions, timeMs);
      putAll(tokens, entry.tokens, timeMs);
      putAll(keys, entry.keys, timeMs);
      const version = type === 'subject_removed' ? Number.POSITIVE_INFINITY : ended;
      if (subject !== undefined && version !== undefined)
        endSubject(subject, { timeMs, version, kept });
      // Of a later version of the service: this version does not know its meaning.
      if (!KNOWN_TYPES.has(type)) raiseFloor(timeMs);
    },
    forgetBefore(timeMs) {
      for (let first = oldest(); first !== undefined && first.timeMs < timeMs; first = oldest())
        first.map.delete(first.key);
    },
    standingOf({ claims, kid }) {
      if (hasEnded(claims, kid)) return 'ended';
      return claims.iat <= floorSeconds ? 'unknown' : 'stands';
    },
    get size() {
      return size();
    },
  };
}

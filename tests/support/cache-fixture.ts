import { type Config, parseConfig } from '../../src/config';
import { createLogger } from '../../src/observability/logger';

/** Cache settings as an operator would give them. */
export function cacheSettings(environment: Record<string, string> = {}): Config['cache'] {
  return parseConfig({ NODE_ENV: 'test', ...environment }).cache;
}

export const quiet = createLogger({ level: 'silent' });

export interface Doc {
  readonly version: number;
}

/** A region of numbered documents over any way of reading them. */
export function docRegion(load: (key: string) => Promise<Doc | null>) {
  return {
    name: 'doc.v1',
    group: (key: string) => `doc:${key}`,
    load,
    encode: (doc: Doc) => Buffer.from(String(doc.version)),
    decode(bytes: Buffer): Doc {
      const version = Number(bytes.toString('latin1'));
      if (!Number.isSafeInteger(version)) throw new Error('not a version');
      return { version };
    },
  };
}

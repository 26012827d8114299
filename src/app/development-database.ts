import type * as EmbeddedMongo from '../../dev/embedded-mongo';
import { builtFile } from '../kernel/root';

class NoDatabaseError extends Error {
  override readonly name = 'NoDatabaseError';
}

/**
 * The embedded database of development and tests. The image is built without it and needs
 * MONGODB_URI.
 */
export async function loadEmbeddedMongo(): Promise<typeof EmbeddedMongo> {
  try {
    return await import(builtFile('embedded-mongo/index.js'));
  } catch (cause) {
    throw new NoDatabaseError('This installation has no embedded database: set MONGODB_URI', {
      cause,
    });
  }
}

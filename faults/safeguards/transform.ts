import { createHash } from 'node:crypto';
import { removeSafeguard, type Safeguard } from './safeguard';

interface Options {
  readonly transformerConfig: Pick<Safeguard, 'code' | 'without' | 'file'>;
}

/** Jest's transformer of the file whose safeguard is taken away. */
export default {
  process: (text: string, _path: string, { transformerConfig }: Options) => ({
    code: removeSafeguard(text, transformerConfig),
  }),
  /** Jest keeps what was transformed. */
  getCacheKey: (text: string, path: string, { transformerConfig }: Options) =>
    createHash('sha256')
      .update(JSON.stringify([text, path, transformerConfig]))
      .digest('hex'),
};

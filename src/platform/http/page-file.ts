import type { Request, Response, Router } from 'express';
import { sha256 } from '../../kernel/crypto/digest';
import { notModified } from './conditional';
import { pagePolicy } from './security-headers';

/** For the entity tag or the name of a file. */
export const hashOf = (bytes: Buffer): string => sha256(bytes).slice(0, 22);

export interface Serving {
  readonly cacheControl: string;
  readonly policy?: string;
  readonly resourcePolicy?: string;
}

/** Serves one file at one path, with an entity tag. `read` is called once, at the first request. */
export function serve(
  router: Router,
  path: string,
  type: string,
  read: () => Buffer | string,
  { cacheControl, policy = pagePolicy(''), resourcePolicy }: Serving,
): void {
  let file: { readonly bytes: Buffer; readonly etag: string } | undefined;
  const fileOf = () => {
    const bytes = Buffer.from(read());
    return { bytes, etag: `W/"${hashOf(bytes)}"` };
  };
  router.get(path, (req: Request, res: Response) => {
    req.context.routePattern = path;
    file ??= fileOf();
    res.setHeader('ETag', file.etag);
    res.setHeader('Cache-Control', cacheControl);
    res.setHeader('Content-Security-Policy', policy);
    if (resourcePolicy !== undefined) res.setHeader('Cross-Origin-Resource-Policy', resourcePolicy);
    if (notModified(req, file.etag)) {
      res.status(304).end();
      return;
    }
    res.setHeader('Content-Type', type);
    res.end(file.bytes);
  });
}

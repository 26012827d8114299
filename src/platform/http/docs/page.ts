import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { OpenApi } from '../openapi/document';
import { hashOf, serve } from '../page-file';
import { pagePolicy } from '../security-headers';
import { DOCS_CSS } from './css';
import { renderDocs } from './html';

export interface DocsOptions {
  /** A CDN in front of this service, or ''. */
  readonly assetBaseUrl: string;
  /** The page /docs/try is served. */
  readonly isTried: boolean;
}

/** Serves `/openapi.json`, `/docs` and its stylesheet, each rendered at its first request. */
export function docsPage(openApi: OpenApi, { assetBaseUrl, isTried }: DocsOptions): RequestHandler {
  const router = Router({ caseSensitive: true });
  const css = Buffer.from(DOCS_CSS);
  const cssPath = `/docs/assets/docs.${hashOf(css)}.css`;
  router.get('/', (req: Request, res: Response) => {
    req.context.routePattern = '/';
    res.writeHead(302, { Location: '/docs' }).end();
  });
  const cacheControl = 'public, max-age=300';
  serve(router, '/openapi.json', 'application/json', () => JSON.stringify(openApi), {
    cacheControl,
  });
  const render = () => renderDocs(openApi, { stylesheet: `${assetBaseUrl}${cssPath}`, isTried });
  serve(router, '/docs', 'text/html; charset=utf-8', render, {
    cacheControl,
    policy: pagePolicy(assetBaseUrl),
  });
  serve(router, cssPath, 'text/css; charset=utf-8', () => css, {
    cacheControl: 'public, max-age=31536000, immutable',
    // Through a CDN it is loaded from another origin. It contains nothing secret.
    resourcePolicy: 'cross-origin',
  });
  return router;
}

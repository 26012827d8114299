import { createHash } from 'node:crypto';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import { DOCS_CSS } from './docs-css';
import { renderDocs } from './docs-html';
import type { OpenApi } from './openapi';
import { PAGE_POLICY } from './security-headers';

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64url').slice(0, 22);

/** `/openapi.json`, `/docs` and its stylesheet, as bytes made once. `assetBaseUrl`: a CDN in front of this service, or ''. */
export function docsPage(openApi: OpenApi, options: { assetBaseUrl: string }): RequestHandler {
  const router = Router();
  const css = Buffer.from(DOCS_CSS);
  const cssPath = `/docs/assets/docs.${hashOf(css)}.css`;
  serve(router, '/openapi.json', 'application/json', Buffer.from(JSON.stringify(openApi)), 'public, max-age=300');
  serve(
    router,
    '/docs',
    'text/html; charset=utf-8',
    Buffer.from(renderDocs(openApi, `${options.assetBaseUrl}${cssPath}`)),
    'public, max-age=300',
  );
  serve(router, cssPath, 'text/css; charset=utf-8', css, 'public, max-age=31536000, immutable');
  return router;
}

function serve(router: Router, path: string, type: string, bytes: Buffer, cacheControl: string): void {
  const etag = `W/"${hashOf(bytes)}"`;
  router.get(path, (req: Request, res: Response) => {
    req.routePattern = path;
    res.setHeader('ETag', etag);
    res.setHeader('Cache-Control', cacheControl);
    res.setHeader('Content-Security-Policy', PAGE_POLICY);
    if (req.headers['if-none-match'] === etag) {
      res.status(304).end();
      return;
    }
    res.setHeader('Content-Type', type);
    res.end(bytes);
  });
}

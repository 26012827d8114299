import { readFileSync } from 'node:fs';
import { type RequestHandler, Router } from 'express';
import { builtFile } from '../../../kernel/root';
import { serve } from '../page-file';

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLES = 'text/css; charset=utf-8';

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/docs/try': ['try.html', HTML],
  '/docs/assets/try.mjs': ['try.mjs', SCRIPT],
  '/docs/assets/try.css': ['try.css', STYLES],
  '/docs/assets/swagger-ui-bundle.js': ['swagger-ui-bundle.js', SCRIPT],
  '/docs/assets/swagger-ui.css': ['swagger-ui.css', STYLES],
};

/** Serves `/docs/try`: Swagger UI and a form that logs in, from files of the build. */
export function tryPage(): RequestHandler {
  const router = Router({ caseSensitive: true });
  for (const [path, [file, type]] of Object.entries(FILES))
    serve(router, path, type, () => readFileSync(builtFile(`assets/${file}`)), {
      cacheControl: 'public, max-age=300',
    });
  return router;
}

import { readFileSync } from 'node:fs';
import compression from 'compression';
import { type RequestHandler, Router } from 'express';
import type { Config } from '../../kernel/config/config';
import { PERMISSIONS, type Policy } from '../../kernel/permissions';
import { builtFile } from '../../kernel/root';
import { serve } from '../../platform/http/page-file';
import { pagePolicy } from '../../platform/http/security-headers';

export interface AdminPageDependencies {
  readonly setting: Config['server']['adminPage'];
  readonly environment: Config['server']['environment'];
  readonly policy: Policy;
  readonly auditTypes: readonly string[];
  /** Ways to sign in that are set up, and whether mails can be sent. */
  readonly features: {
    /** Of pages that can use passkeys. */
    readonly passkeyOrigins: readonly string[];
    readonly emailSignIn: boolean;
    readonly mail: boolean;
  };
}

/** Nothing of the page makes a script of a string. */
const POLICY = `${pagePolicy('')}; require-trusted-types-for 'script'; trusted-types 'none'`;

const ASSETS: Readonly<Record<string, string>> = {
  'admin.js': 'text/javascript; charset=utf-8',
  'admin.css': 'text/css; charset=utf-8',
};

/** The page `/admin`, where the settings ask for it. It is a client of the API as any other. */
export function createAdminPage(deps: AdminPageDependencies): { readonly pages: RequestHandler } {
  const { setting, environment } = deps;
  const isServed = setting === 'on' || (setting === 'auto' && environment !== 'production');
  return { pages: isServed ? adminPage(deps) : Router() };
}

function adminPage({ policy, auditTypes, features }: AdminPageDependencies): RequestHandler {
  const router = Router({ caseSensitive: true, strict: true });
  const read = (name: string) => () => readFileSync(builtFile(`assets/admin/${name}`));
  // A page and its files are of one build: browsers ask for both each time (ETag).
  const common = { cacheControl: 'no-cache', policy: POLICY };
  router.use('/admin', compression());
  serve(router, '/admin', 'text/html; charset=utf-8', read('admin.html'), common);
  for (const [name, type] of Object.entries(ASSETS))
    serve(router, `/admin/assets/${name}`, type, read(name), common);
  const settings = {
    // Without secrets: the names are in /openapi.json, too.
    roles: Object.fromEntries(policy.roles.map((role) => [role, [...policy.permissionsOf(role)]])),
    permissions: PERMISSIONS,
    audit_types: auditTypes,
    passkey_origins: features.passkeyOrigins,
    email_sign_in: features.emailSignIn,
    mail: features.mail,
  };
  const json = () => JSON.stringify(settings);
  serve(router, '/admin/assets/settings.json', 'application/json', json, common);
  return router;
}

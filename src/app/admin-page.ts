import type { RequestHandler } from 'express';
import type { Config } from '../kernel/config/config';
import { relyingPartyOf } from '../kernel/config/relying-party';
import type { Policy } from '../kernel/permissions';
import { createAdminPage } from '../modules/admin-page';
import { AUDIT_TYPES } from '../modules/audit';

/** All that the administration page knows of other modules. */
export const openAdminPage = (config: Config, policy: Policy): { pages: RequestHandler } =>
  createAdminPage({
    setting: config.server.adminPage,
    environment: config.server.environment,
    policy,
    auditTypes: AUDIT_TYPES,
    features: {
      passkeyOrigins: relyingPartyOf(config)?.origins ?? [],
      emailSignIn: config.emailSignIn.isEnabled,
      mail: config.mail.smtpUrl !== undefined,
    },
  });

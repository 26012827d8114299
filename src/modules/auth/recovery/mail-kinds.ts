import { join } from 'node:path';
import { PROJECT_ROOT } from '../../../kernel/root';
import {
  loadMailTemplates,
  type MailKinds,
  type MailTemplates,
} from '../../../platform/mail/templates';
import type { Purpose } from './one-time-tokens';

/** A mail with a link is named after the purpose of its token. */
export type MailKind =
  | Purpose
  | 'sign-in-code'
  | 'password-changed'
  | 'email-changed'
  | 'new-device'
  | 'identity-linked'
  | 'identity-unlinked'
  | 'webhook-disabled'
  | FactorNotice;
/** To the owner, after its second factors have changed. */
export type FactorNotice =
  | 'factor-added'
  | 'factor-removed'
  | 'recovery-codes-replaced'
  | 'recovery-codes-low';
export type AuthMailTemplates = MailTemplates<MailKind>;

const WITH_LINK = { placeholders: ['site', 'link', 'token', 'valid_until'], required: ['link'] };
const WITH_CODE = { placeholders: ['site', 'code', 'link', 'valid_until'], required: ['code'] };
const NOTICE = { placeholders: ['site'], required: [] };
const NEW_DEVICE = {
  placeholders: ['site', 'time', 'network', 'device', 'reset_link'],
  required: ['reset_link'],
};

const OF_PROVIDER = {
  placeholders: ['site', 'provider', 'reset_link'],
  required: ['provider', 'reset_link'],
};

/**
 * There is no placeholder for a user's name: text that a stranger chose must not reach the mailbox
 * of another person.
 */
export const MAIL_KINDS: MailKinds<MailKind> = {
  'verify-email': WITH_LINK,
  'change-email': WITH_LINK,
  'reset-password': WITH_LINK,
  invitation: WITH_LINK,
  'sign-in-code': WITH_CODE,
  'password-changed': NOTICE,
  'email-changed': NOTICE,
  'new-device': NEW_DEVICE,
  'factor-added': NOTICE,
  'factor-removed': NOTICE,
  'recovery-codes-replaced': NOTICE,
  'recovery-codes-low': NOTICE,
  'identity-linked': OF_PROVIDER,
  'identity-unlinked': OF_PROVIDER,
  'webhook-disabled': { placeholders: ['site', 'host'], required: ['host'] },
};

const BUILT_IN_TEMPLATES = join(PROJECT_ROOT, 'templates/mail');

/** The templates of MAIL_TEMPLATES_DIR, or the built-in ones. Throws ConfigError. */
export const loadAuthMailTemplates = (folder: string | undefined): AuthMailTemplates =>
  loadMailTemplates(MAIL_KINDS, folder ?? BUILT_IN_TEMPLATES);

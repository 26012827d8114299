import type { Subscribers } from '../../platform/events';
import type { DomainEvents } from '../domain-events';
import type { Recorder } from './recorder';

/** Of programs: webhooks, service accounts, signing keys. */
export const serviceRows = ({ success, failure }: Recorder): Subscribers<DomainEvents> => ({
  WebhookChanged: (event) =>
    success(event, { type: `webhook_${event.how}`, subject: event.webhookId }),
  WebhookDisabled: ({ webhookId: subject, reason, client }) =>
    failure({ client }, { type: 'webhook_disabled', subject, reason }),
  ServiceAccountCreated: (event) =>
    success(event, { type: 'service_account_created', subject: event.accountId }),
  ServiceAccountRevoked: (event) =>
    success(event, { type: 'service_account_revoked', subject: event.accountId }),
  ClientTokenIssued: (event) =>
    success(event, { type: 'client_token_issued', subject: event.accountId }),
  ClientTokenRefused: ({ accountId: subject, reason, ...event }) =>
    failure(event, { type: 'client_token_issued', subject, reason }),
  ClientTokenRevoked: (event) =>
    success(event, { type: 'client_token_revoked', subject: event.accountId }),
  ClientAuthenticationFailed: ({ accountId: subject, reason, ...event }) =>
    failure(event, { type: 'client_authentication', subject, reason }),
  SigningKeyRotated: (event) =>
    success(event, { type: 'signing_key_rotated', reason: event.reason }),
});

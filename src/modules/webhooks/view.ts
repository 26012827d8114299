import type { WebhookView } from './view-schemas';
import type { Delivery, Failure, Gap, Webhook } from './webhook';

const viewOfFailure = (failure: Failure | undefined) =>
  failure === undefined
    ? null
    : { at: failure.at.toISOString(), reason: failure.reason, status: failure.status ?? null };

const viewOfGap = (gap: Gap | undefined) =>
  gap === undefined ? null : { ...gap, at: gap.at.toISOString() };

/** Without its secrets. */
export const viewOfWebhook = (webhook: Webhook): WebhookView => ({
  id: webhook._id,
  url: webhook.url,
  description: webhook.description,
  types: webhook.types === null ? null : [...webhook.types],
  status: webhook.status,
  disabled_reason: webhook.disabledReason ?? null,
  position: webhook.position,
  failing_since: webhook.failingSince?.toISOString() ?? null,
  last_delivered_at: webhook.lastDeliveredAt?.toISOString() ?? null,
  last_failure: viewOfFailure(webhook.lastFailure),
  last_gap: viewOfGap(webhook.lastGap),
  created_by: webhook.createdBy,
  created_at: webhook.createdAt.toISOString(),
});

/** `type`: of its event, as long as that is kept. */
export function viewOfDelivery(delivery: Delivery, type: string | undefined) {
  const { sequence, state, attempts, dueAt, lastFailure, createdAt } = delivery;
  return {
    ...{ sequence, type: type ?? null, state, attempts },
    next_attempt_at: state === 'waiting' ? dueAt.toISOString() : null,
    last_failure: viewOfFailure(lastFailure),
    created_at: createdAt.toISOString(),
  };
}

import { z } from 'zod';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import type { PersonalData } from '../../platform/module';
import { MAX_WEBHOOKS, type WebhookStore } from './webhook-store';

export const createWebhookExport = (store: Pick<WebhookStore, 'createdBy'>): PersonalData => ({
  schema: {
    webhooks: z
      .array(
        z.object({
          id: shownId('Id of a webhook that the user has created.'),
          url: shownText(2048, 'Its address.', 'https://crm.example.org/hook'),
          description: shownText(100, 'Its description.', 'CRM'),
          created_at: shownTime('When it was created.'),
        }),
      )
      .max(MAX_WEBHOOKS),
  },
  async read(userId) {
    const found = await store.createdBy(userId);
    const webhooks = found.map(({ _id: id, url, description, createdAt }) => ({
      ...{ id, url, description, created_at: createdAt.toISOString() },
    }));
    return { webhooks };
  },
});

/**
 * Preloaded (`node --require`): the planted fault of the webhook scenario. A delivery that failed
 * is forgotten.
 */
import * as store from '../../src/modules/webhooks/delivery-store';

const { createDeliveryStore } = store;

const forgetful: typeof createDeliveryStore = (...dependencies) => ({
  ...createDeliveryStore(...dependencies),
  failed: async () => undefined,
});
Object.assign(store, { createDeliveryStore: forgetful });

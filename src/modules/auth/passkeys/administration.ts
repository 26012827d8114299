import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { CurrentSession } from '../sessions/end-sessions';
import type { Passkey, PasskeyHolder, PasskeyStore } from './passkey-store';
import { passkeyNotFound } from './problems';

export interface PasskeyAdministration {
  list(userId: string): Promise<Pick<PasskeyHolder, 'handle' | 'passkeys'> | null>;
  /** Throws 404 `passkey_not_found`. */
  rename(current: CurrentSession, id: string, name: string, client: ClientInfo): Promise<Passkey>;
}

export interface PasskeyAdministrationDependencies {
  readonly store: PasskeyStore;
  readonly emit: EmitEvent;
}

export function createPasskeyAdministration({
  store,
  emit,
}: PasskeyAdministrationDependencies): PasskeyAdministration {
  return {
    list: (userId) => store.find(userId),

    async rename({ userId, sid: session }, id, name, client) {
      const renamed = await store.rename(userId, id, name);
      if (renamed === null) throw passkeyNotFound();
      emit('PasskeyRenamed', { userId, passkey: id, session, actor: userId, client });
      return renamed;
    },
  };
}

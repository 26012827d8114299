import { createSoftAuthenticator, type SoftPasskey } from '../../dev/passkeys/authenticator';
import type { Workload } from './workload';
import type { World } from './world';

const PATH = '/api/auth/passkeys';
/** Of the default settings. */
const browser = createSoftAuthenticator('http://localhost:3000');

type Options<T> = { readonly public_key: T };
type Creation = Parameters<typeof browser.create>[0];
type Request = Parameters<typeof browser.get>[0];

async function created(world: World, user = world.next()) {
  const { token } = await world.signIn(user);
  const path = `${PATH}/registration/options`;
  const { public_key: options } = await world.call<Options<Creation>>({
    ...{ method: 'POST', path, token },
  });
  return { token, ...browser.create(options) };
}

interface Registered {
  readonly token: string;
  readonly passkey: SoftPasskey;
  readonly id: string;
}

async function registered(world: World, user = world.next()): Promise<Registered> {
  const { token, passkey, credential } = await created(world, user);
  const { passkey: added } = await world.call<{ passkey: { id: string } }>({
    ...{ method: 'POST', path: `${PATH}/registration`, token, body: { credential } },
  });
  return { token, passkey, id: added.id };
}

export const PASSKEY_WORKLOADS: Readonly<Record<string, Readonly<Record<string, Workload>>>> = {
  'GET /api/auth/passkeys': {
    usual: async (world) => ({ token: (await registered(world)).token }),
  },
  'POST /api/auth/passkeys/registration/options': {
    usual: async (world) => ({ token: (await world.signIn()).token }),
  },
  'POST /api/auth/passkeys/registration': {
    usual: async (world) => {
      const { token, credential } = await created(world);
      return { token, body: { credential } };
    },
  },
  'PATCH /api/auth/passkeys/{id}': {
    usual: async (world) => {
      const { token, id } = await registered(world);
      return { token, at: `${PATH}/${id}`, body: { name: 'Renamed' } };
    },
  },
  'DELETE /api/auth/passkeys/{id}': {
    usual: async (world) => {
      const { token, id } = await registered(world);
      return { token, at: `${PATH}/${id}` };
    },
  },
  'POST /api/auth/passkeys/second-factor/options': {
    usual: async (world) => {
      const user = world.next();
      await registered(world, user);
      const { mfa_token } = await world.call<{ mfa_token: string }>({
        ...{ method: 'POST', path: '/api/auth/login' },
        body: { email: user.email, password: world.password },
      });
      return { body: { mfa_token } };
    },
  },
  'POST /api/auth/passkeys/step-up/options': {
    usual: async (world) => ({ token: (await registered(world)).token }),
  },
  'POST /api/auth/passkeys/sign-in/options': { usual: () => ({}) },
  'POST /api/auth/passkeys/sign-in': {
    usual: async (world) => {
      const { passkey } = await registered(world);
      const path = `${PATH}/sign-in/options`;
      const { public_key: options } = await world.call<Options<Request>>({
        ...{ method: 'POST', path },
      });
      return { body: { credential: browser.get(options, passkey) } };
    },
  },
};

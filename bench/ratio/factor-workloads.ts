import { URI } from 'otpauth';
import type { Workload } from './workload';
import type { World } from './world';

interface WithFactor {
  readonly id: string;
  readonly email: string;
  readonly factorId: string;
  readonly token: string;
  readonly recoveryCodes: readonly string[];
}

function codeOf(uri: string): string {
  const totp = URI.parse(uri);
  if (!('period' in totp)) throw new Error(`not a TOTP: ${uri}`);
  return totp.generate();
}

const enrol = (world: World, token: string) =>
  world.call<{ id: string; otpauth_uri: string }>({
    ...{ method: 'POST', path: '/api/auth/factors/totp', token, body: {} },
  });

/** A user with an authenticator app, in the session that added it. */
async function withFactor(world: World): Promise<WithFactor> {
  const { id, email, token } = await world.signIn();
  const { id: factorId, otpauth_uri } = await enrol(world, token);
  const added = await world.call<{ access_token: string; recovery_codes: string[] }>({
    ...{ method: 'POST', path: '/api/auth/factors/totp/confirm', token },
    body: { code: codeOf(otpauth_uri) },
  });
  const { access_token, recovery_codes: recoveryCodes } = added;
  return { id, email, factorId, token: access_token, recoveryCodes };
}

async function firstStep(world: World, email: string, password: string): Promise<string> {
  const { mfa_token } = await world.call<{ mfa_token: string }>({
    ...{ method: 'POST', path: '/api/auth/login', body: { email, password } },
  });
  return mfa_token;
}

const withToken: Workload = async (world) => ({ token: (await withFactor(world)).token });

/** Of an account whose role needs a factor (RATIO_ENVIRONMENT), and that has none. */
const enrolsAtSignIn: Workload = async (world) => {
  const { password } = world;
  const email = `enrolling${world.count()}.${world.users}@bench.example`;
  const body = { name: 'Enrolling', email, password, role: 'enrolling' };
  await world.call({ method: 'POST', path: '/api/users', token: world.admin.token, body });
  return { body: { mfa_token: await firstStep(world, email, password) } };
};

export const FACTOR_WORKLOADS: Readonly<Record<string, { readonly usual: Workload }>> = {
  'POST /api/auth/mfa/verify': {
    usual: async (world) => {
      const { email, recoveryCodes } = await withFactor(world);
      const mfa_token = await firstStep(world, email, world.password);
      return { body: { mfa_token, factor: 'recovery_code', code: recoveryCodes[0] } };
    },
  },
  'POST /api/auth/mfa/totp': { usual: enrolsAtSignIn },
  'POST /api/auth/mfa/step-up': {
    usual: async (world) => {
      const { token, recoveryCodes } = await withFactor(world);
      return { token, body: { factor: 'recovery_code', code: recoveryCodes[0] } };
    },
  },
  'GET /api/auth/factors': { usual: withToken },
  'POST /api/auth/factors/totp': {
    usual: async (world) => ({ token: (await world.signIn()).token, body: {} }),
  },
  'POST /api/auth/factors/totp/confirm': {
    usual: async (world) => {
      const { token } = await world.signIn();
      return { token, body: { code: codeOf((await enrol(world, token)).otpauth_uri) } };
    },
  },
  'POST /api/auth/factors/recovery-codes': { usual: withToken },
  'DELETE /api/auth/factors/{id}': {
    usual: async (world) => {
      const { token, factorId } = await withFactor(world);
      return { token, at: `/api/auth/factors/${factorId}` };
    },
  },
  'DELETE /api/users/{id}/factors': {
    usual: async (world) => {
      const { id } = await withFactor(world);
      return { token: world.admin.token, at: `/api/users/${id}/factors` };
    },
  },
};

import { integer, setting } from './setting';

/** Fixed windows: the failures count from the beginning of each to its end. */
export const LOGIN_WINDOW_MINUTES = { account: 5, device: 1, network: 10 } as const;
const { account, device, network } = LOGIN_WINDOW_MINUTES;
const within = (minutes: number): string =>
  minutes === 1 ? 'within a minute' : `within ${minutes} minutes`;

/** Failed logins after which further ones are refused (modules/auth/login-guard.ts). */
export const login = {
  accountAttempts: setting(
    'LOGIN_ATTEMPTS_PER_ACCOUNT',
    integer(1, 1000),
    '10',
    `Failed logins of an account ${within(account)} after which it is locked for unknown devices.`,
  ),
  accountAttemptsPerDay: setting(
    'LOGIN_ATTEMPTS_PER_ACCOUNT_DAY',
    integer(1, 10_000),
    '100',
    'The same, within a day.',
  ),
  deviceAttempts: setting(
    'LOGIN_ATTEMPTS_PER_DEVICE',
    integer(1, 1000),
    '10',
    `Failed logins of an account from one of its known devices ${within(device)}; the account lock does not apply to known devices.`,
  ),
  networkAttempts: setting(
    'LOGIN_ATTEMPTS_PER_NETWORK',
    integer(1, 100_000),
    '100',
    `Failed logins from one client network (IPv4 address, IPv6 /56) ${within(network)}, over all accounts.`,
  ),
} as const;

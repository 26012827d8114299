import { readRefreshCookie } from '../../../../src/modules/auth/browser/refresh-cookie';
import { createBrowserCookie } from '../../../../src/modules/auth/federation/browser-cookie';

const VALUE = 'A'.repeat(43);
const BLANKS = ['', ' ', '\t', ' \t '];
/** `trim` takes them off too; a subdomain can set a cookie with such a name. */
const OTHERS = ['\u00a0', '\ufeff', '\v', '\f', '\u2003'];

describe.each([
  [
    'refresh',
    '__Host-refresh_token',
    (cookie: string) => readRefreshCookie({ headers: { cookie } }),
  ],
  ['oidc', '__Host-oidc', createBrowserCookie('https://api.example.org', 60).read],
])('the cookie of %s', (_name, name, read) => {
  test.each(BLANKS)('is read between spaces and tabs (%j)', (blank) => {
    expect(read(`a=b;${blank}${name}=${VALUE}${blank};c=d`)).toBe(VALUE);
  });

  test.each(OTHERS)('has no name with %j before it', (other) => {
    expect(read(`a=b; ${other}${name}=${VALUE}`)).toBeUndefined();
    // Nor does such a one stand in the way of the cookie itself.
    expect(read(`${other}${name}=${'B'.repeat(43)}; ${name}=${VALUE}`)).toBe(VALUE);
  });
});

import type { AccessTokenClaims } from '../../../packages/verifier/src/claims';
import {
  createEndedTokens,
  type RevocationEntry,
} from '../../../packages/verifier/src/ended-tokens';

const T0 = Date.parse('2026-01-01T00:00:00Z');
let sequence = 0;
const entry = (fields: Partial<RevocationEntry>, atMs = 0): RevocationEntry => ({
  sequence: ++sequence,
  time: new Date(T0 + atMs).toISOString(),
  type: 'tokens_ended',
  ...fields,
});
const token = (fields: Partial<AccessTokenClaims> = {}, kid = 'k1') => ({
  kid,
  claims: {
    ...{ iss: 'https://a', aud: 'api', sub: 'u1', sid: 's1', jti: 'j1', ver: 3 },
    ...{ iat: T0 / 1000 - 10, exp: T0 / 1000 + 900 },
    ...fields,
  } as AccessTokenClaims,
});

test('one session: the tokens of the others stand', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ subject: 'u1', sessions: ['s1'] }));
  expect(ended.standingOf(token())).toBe('ended');
  expect(ended.standingOf(token({ sid: 's2' }))).toBe('stands');
});

test('all sessions: lower versions have ended, tokens of later logins stand', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ subject: 'u1', session_version: 4 }));
  expect(ended.standingOf(token())).toBe('ended');
  expect(ended.standingOf(token({ ver: 4 }))).toBe('stands');
  expect(ended.standingOf(token({ sub: 'u2' }))).toBe('stands');
});

test('all sessions but one: only that one stands, and not its tokens of a lower version', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ subject: 'u1', session_version: 4, kept_session: { id: 's1', version: 3 } }));
  expect(ended.standingOf(token())).toBe('stands');
  expect(ended.standingOf(token({ ver: 2 }))).toBe('ended');
  expect(ended.standingOf(token({ sid: 's2' }))).toBe('ended');
  ended.apply(entry({ subject: 'u1', session_version: 5 }));
  expect(ended.standingOf(token())).toBe('ended');
});

test('an older end that arrives later takes nothing back', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ subject: 'u1', session_version: 5 }));
  ended.apply(entry({ subject: 'u1', session_version: 4, kept_session: { id: 's1', version: 3 } }));
  expect(ended.standingOf(token())).toBe('ended');
});

test('a removed subject, one token, a key, and the session of the acting administrator', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ type: 'subject_removed', subject: 'u1' }));
  ended.apply(entry({ subject: 'svc', tokens: ['j7'] }));
  ended.apply(entry({ type: 'keys_removed', keys: ['k9'] }));
  ended.apply(entry({ subject: 'admin', sessions: ['as'] }));
  expect(ended.standingOf(token({ ver: 9_000 }))).toBe('ended');
  expect(ended.standingOf(token({ sub: 'svc', jti: 'j7' }))).toBe('ended');
  expect(ended.standingOf(token({ sub: 'svc', jti: 'j8' }))).toBe('stands');
  expect(ended.standingOf(token({ sub: 'u3' }, 'k9'))).toBe('ended');
  const act = { sub: 'admin', sid: 'as', ver: 1 };
  expect(ended.standingOf(token({ sub: 'u4', act }))).toBe('ended');
  expect(ended.standingOf(token({ sub: 'u4', act: { ...act, sid: 'other' } }))).toBe('stands');
});

test('past the bound the oldest are forgotten, and tokens of their time are not decided on', () => {
  const ended = createEndedTokens(3);
  for (let i = 0; i < 5; i += 1)
    ended.apply(entry({ subject: `u${i}`, sessions: [`s${i}`] }, i * 600_000));
  expect(ended.size).toBe(3);
  const issuedAt = (minutes: number) => token({ sid: 'sX', iat: T0 / 1000 + minutes * 60 });
  expect(ended.standingOf(issuedAt(5))).toBe('unknown');
  expect(ended.standingOf(issuedAt(15))).toBe('stands');
  expect(ended.standingOf(token({ sid: 's4' }))).toBe('ended');
});

test('ends older than every token are forgotten without a doubt about others', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ subject: 'u1', sessions: ['s1'] }));
  ended.apply(entry({ subject: 'u2', session_version: 4 }, 5000));
  ended.forgetBefore(T0 + 1);
  expect(ended.size).toBe(1);
  expect(ended.standingOf(token())).toBe('stands');
});

test('an entry of a form that is not known ends nothing by itself, and decides nothing', () => {
  const ended = createEndedTokens(100);
  ended.apply(entry({ type: 'something.new' }));
  expect(ended.standingOf(token())).toBe('unknown');
  expect(ended.standingOf(token({ iat: T0 / 1000 + 61 }))).toBe('stands');
});

import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ALGORITHMS,
  assertFits,
  type VerificationKey,
} from '../../../../src/modules/auth/keys/keys';
import { openJws } from '../../../../src/modules/auth/tokens/jws';

type Jwk = JsonWebKey & { alg?: string; use?: string; key_ops?: string[]; kid?: string };
interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: string;
  readonly result: 'valid' | 'invalid';
}
interface Group {
  readonly comment: string;
  readonly public?: Jwk;
  readonly private?: Jwk;
  readonly tests: readonly Vector[];
}

/** Marked valid and refused here on purpose. */
const REFUSED: Readonly<Record<number, string>> = {
  259: 'an empty payload can be no set of claims',
  372: 'a character outside base64url in the header, which RFC 7515 §2 does not allow',
  373: 'a character outside base64url in the payload, which RFC 7515 §2 does not allow',
};

const directory = process.env['VECTORS_DIR'];
const file =
  directory === undefined
    ? undefined
    : join(directory, 'wycheproof', 'json_web_signature_test.json');

/**
 * The key as the service would hold it; undefined where it must not be used for signatures of the
 * supported algorithms.
 */
function importKey(jwk: Jwk): VerificationKey | undefined {
  const alg = ALGORITHMS.find((known) => known === jwk.alg);
  if (alg === undefined || jwk.kid === undefined) return undefined;
  const key: KeyObject =
    jwk.kty === 'oct'
      ? createSecretKey(Buffer.from(jwk.k as string, 'base64url'))
      : createPublicKey({ key: jwk, format: 'jwk' });
  assertFits(alg, key);
  return { kid: jwk.kid, alg, key };
}

function accepts(vector: Vector, key: VerificationKey | undefined): boolean {
  try {
    openJws(vector.jws, (kid) => (kid === key?.kid ? key : undefined));
    return true;
  } catch {
    return false;
  }
}

if (file === undefined || !existsSync(file)) {
  test.skip('Wycheproof JWS vectors: VECTORS_DIR names no folder with wycheproof/json_web_signature_test.json', () => {});
} else {
  const groups = (JSON.parse(readFileSync(file, 'utf8')) as { testGroups: Group[] }).testGroups;
  const cases = groups.flatMap((group) => {
    const jwk = group.public ?? group.private ?? {};
    return group.tests.map((vector) => ({
      vector,
      jwk,
      name: `${vector.tcId} ${group.comment} ${vector.comment}`,
    }));
  });

  test('invalid signatures are refused', () => {
    const invalid = cases.filter(({ vector }) => vector.result === 'invalid');
    expect(invalid.length).toBeGreaterThan(300);
    // 367 and 370 lost their padding when the file was made: they are, letter for letter, the valid
    // vector 357.
    const jwsOf = (id: number) => cases.find(({ vector }) => vector.tcId === id)?.vector.jws;
    expect([jwsOf(367), jwsOf(370)]).toEqual([jwsOf(357), jwsOf(357)]);
    const judged = invalid.filter(({ vector }) => vector.jws !== jwsOf(357));
    expect(judged.length).toBe(invalid.length - 2);
    expect(
      judged.filter(({ vector, jwk }) => accepts(vector, importKey(jwk))).map(({ name }) => name),
    ).toEqual([]);
  });

  test('valid signatures of supported algorithms are accepted', () => {
    const valid = cases.filter(
      ({ vector, jwk }) => vector.result === 'valid' && ALGORITHMS.some((alg) => alg === jwk.alg),
    );
    const algorithmInHeader = (jws: string) =>
      (
        JSON.parse(Buffer.from(jws.split('.')[0] as string, 'base64url').toString()) as {
          alg: string;
        }
      ).alg;
    const supported = valid.filter(({ vector, jwk }) => algorithmInHeader(vector.jws) === jwk.alg);
    expect(supported.length).toBeGreaterThanOrEqual(15);
    const refused = supported.filter(({ vector, jwk }) => !accepts(vector, importKey(jwk)));
    expect(refused.map(({ vector }) => vector.tcId)).toEqual(Object.keys(REFUSED).map(Number));
  });
}

const keyFile =
  directory === undefined ? undefined : join(directory, 'wycheproof', 'json_web_key_test.json');
/**
 * Keys are made here or sealed by us, never read from a stranger's set: what only such a set can be
 * wrong with is not looked at.
 */
const OF_FOREIGN_SETS: Readonly<Record<number, string>> = {
  1: 'a set that mixes secret and public keys',
  4: 'a set with one kid twice',
  7: 'a key from a generator with the ROCA weakness',
};

if (keyFile === undefined || !existsSync(keyFile)) {
  test.skip('Wycheproof JWK vectors: VECTORS_DIR names no folder with wycheproof/json_web_key_test.json', () => {});
} else {
  test('keys of a wrong size, curve or use verify nothing', () => {
    type KeySet = { keys: Jwk[] };
    const groups = (
      JSON.parse(readFileSync(keyFile, 'utf8')) as {
        testGroups: (Omit<Group, 'public' | 'private'> & { public?: KeySet; private?: KeySet })[];
      }
    ).testGroups;
    const judged = groups.flatMap(({ comment, tests, ...group }) => {
      const { keys } = group.public ?? group.private ?? { keys: [] };
      return tests
        .filter(({ tcId }) => OF_FOREIGN_SETS[tcId] === undefined)
        .map((vector) => ({
          name: `${vector.tcId} ${comment}`,
          valid: vector.result === 'valid',
          keys,
          vector,
        }));
    });
    const usable = (jwk: Jwk) =>
      (jwk.use === undefined || jwk.use === 'sig') && ALGORITHMS.some((alg) => alg === jwk.alg);
    const accepted = judged.filter(({ keys, vector }) =>
      keys.filter(usable).some((jwk) => {
        try {
          return accepts(vector, importKey(jwk));
        } catch {
          return false;
        }
      }),
    );
    expect(judged.filter(({ valid }) => !valid).length).toBeGreaterThan(15);
    expect(accepted.filter(({ valid }) => !valid).map(({ name }) => name)).toEqual([]);
    const supported = judged.filter(({ valid, keys }) => valid && keys.every(usable));
    expect(supported.filter((one) => !accepted.includes(one)).map(({ name }) => name)).toEqual([]);
    expect(supported.length).toBeGreaterThanOrEqual(3);
  });
}

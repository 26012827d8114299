import type { ForeignHash } from '../../../../../src/modules/auth/passwords/formats/foreign-hash';

/** Hashes that others have published, with their sources, and the passwords that they fit. */
export interface Vector {
  readonly source: string;
  readonly password: string;
  readonly hash: ForeignHash;
}

const b64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64').replace(/=+$/, '');
const b64Text = (text: string) => Buffer.from(text).toString('base64').replace(/=+$/, '');

/** RFC 6070 (PBKDF2 with SHA-1), the cases within the bounds. */
const RFC_6070: Vector[] = (
  [
    ['password', 'salt', 20, '4b007901b765489abead49d926f721d065a429c1'],
    [
      'passwordPASSWORDpassword',
      'saltSALTsaltSALTsaltSALTsaltSALTsalt',
      25,
      '3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038',
    ],
    ['pass\0word', 'sa\0lt', 16, '56fa6aa75548099dcc37d7f03425e0c3'],
  ] as const
).map(([password, salt, l, digest]) => ({
  source: 'RFC 6070',
  password,
  hash: `$pbkdf2-sha1$i=4096,l=${l}$${b64Text(salt)}$${b64(digest)}`,
}));

/** RFC 7914 §11 (PBKDF2 with SHA-256) and §12 (scrypt), the cases within the bounds. */
const RFC_7914: Vector[] = [
  {
    source: 'RFC 7914 §11',
    password: 'Password',
    hash: `$pbkdf2-sha256$i=80000,l=64$${b64Text('NaCl')}$${b64(
      '4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d',
    )}`,
  },
  {
    source: 'RFC 7914 §12',
    password: 'password',
    hash: `$scrypt$ln=10,r=8,p=16$${b64Text('NaCl')}$${b64(
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
    )}`,
  },
  {
    source: 'RFC 7914 §12',
    password: 'pleaseletmein',
    hash: `$scrypt$ln=14,r=8,p=1$${b64Text('SodiumChloride')}$${b64(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
    )}`,
  },
];

/** phc-winner-argon2, the reference implementation: src/test.c. */
const ARGON2: Vector[] = (
  [
    [
      'password',
      '$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ',
    ],
    ['password', '$argon2i$m=256,t=2,p=2$c29tZXNhbHQ$tsEVYKap1h6scGt5ovl9aLRGOqOth+AMB+KwHpDFZPs'],
    [
      'password',
      '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
    ],
    [
      'password',
      '$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E',
    ],
    [
      'password',
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    ],
    [
      'password',
      '$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc',
    ],
    [
      'differentpassword',
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94',
    ],
    [
      'password',
      '$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw',
    ],
  ] as const
).map(([password, hash]) => ({ source: 'phc-winner-argon2', password, hash }));

/** Django: tests/auth_tests/test_hashers.py. The last four were made by Django 5.2.19. */
const DJANGO: Vector[] = (
  [
    ['lètmein', 'pbkdf2_sha256$390000$seasalt$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c='],
    ['lètmein', 'pbkdf2_sha256$390000$seasalt2$geC/uZ92nRXDSjSxeoiBqYyRcrLzMm8xK3ro1QS1uo8='],
    ['lètmein', 'pbkdf2_sha1$390000$seasalt2$aDapRanzW8aHTz97v2TcfHzWD+I='],
    [
      'lètmein',
      'scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==',
    ],
    [
      'secret',
      'argon2$argon2i$m=8,t=1,p=1$c29tZXNhbHQ$gwQOXSNhxiOxPOA0+PY10P9QFO4NAYysnqRt1GSQLE55m+2GYDt9FEjPMHhP2Cuf0nOEXXMocVrsJAtNSsKyfg',
    ],
    ['secret', 'argon2$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$YC9+jJCrQhs5R6db7LlN8Q'],
    ['secret', 'argon2$argon2id$v=19$m=102400,t=2,p=8$Y041dExhNkljRUUy$TMa6A8fPJhCAUXRhJXCXdw'],
    ['lètmein', 'md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3'],
    ['lètmein', 'sha1$seasalt$cff36ea83f5706ce9aa7454e63e431fc726b2dc8'],
    ['lètmein', 'sha1$$6d138ca3ae545631b3abd71a4f076ce759c5700b'],
    [
      'lètmein',
      'argon2$argon2id$v=19$m=102400,t=2,p=8$eGt6V0hUYlBBWUtIS3J3MGdOVjFUYQ$tZ2tqg8jL65Zm6YpbZDYW+202QiaOecv+3Xg9Qmm8Mw',
    ],
    ['lètmein', 'bcrypt_sha256$$2b$12$lM29wXlEFgtfVPkuL9C1/Os45lTTQkMh2tXnk5EbcRHSFUklaJXue'],
    ['lètmein', 'bcrypt$$2b$12$sPteksMguxuZB2C8mDKCT.tPoIyOwJcDayJvQCJ9jaFL9.tFzlaQm'],
    ['lètmein', 'pbkdf2_sha1$1000000$gFOf1POY0FDXoFqPoigVHJ$czfs5qcGnpyWUiSv21OqNf+Ww4w='],
  ] as const
).map(([password, hash]) => ({ source: 'Django', password, hash }));

/** passlib 1.7.4: tests/test_handlers*.py. */
const PASSLIB: Vector[] = (
  [
    ['password', '$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI'],
    [
      'password',
      '$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ',
    ],
    [
      'password',
      '$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww',
    ],
    [
      'test',
      '$scrypt$ln=8,r=8,p=1$wlhLyXmP8b53bm1NKYVQqg$mTpvG8lzuuDk+DWz8HZIB6Vum6erDuUm0As5yU+VxWA',
    ],
    [
      'nacl',
      '$scrypt$ln=1,r=4,p=2$yhnD+J+Tci4lZCwFgHCuVQ$fAsEWmxSHuC0cHKMwKVFPzrQukgvK09Sj+NueTSxKds',
    ],
    [
      'táБℓə',
      '$scrypt$ln=7,r=8,p=1$jjGmtDamdA4BQAjBeA9BSA$OiWRHhQtpDx7M/793x6UXK14AD512jg/qNm/hkWZG4M',
    ],
    ['ё', '$2y$05$6bNw2HLQYeqHYyBfLMsv/OUcZd0LKP39b87nBw3.S2tVZSqiQX6eu'],
  ] as const
).map(([password, hash]) => ({ source: 'passlib', password, hash }));

/**
 * RFC 2307 schemes of LDAP servers. The first was made by OpenLDAP's slappasswd
 * (hikari-dev.com/en/blog/tags/open-ldap), the others are in the tests of passlib.
 */
const LDAP: Vector[] = (
  [
    ['admin', '{SSHA}23AUBfRZytVFNpe7onuFhyCSJOHRzCWh'],
    ['testing123', '{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr'],
    ['secret', '{SSHA}0H+zTv8o4MR4H43n03eCsvw1luG8LdB7'],
    ['test', '{SSHA}P90+qijSp8MJ1tN25j5o1PflUvlqjXHOGeOckw=='],
    ['test', '{SSHA}Pfx6Vf48AT9x3FVv8znbo8WQkEVSipHSWovxXmvNWUvp/d/7'],
    ['password', '{SSHA256}x1tymSTVjozxQ2PtT46ysrzhZxbcskK0o2f8hEFx7fAQQmhtDSEkJA=='],
    ['lètmein', '{SMD5}NhoF46V4Ock8+7r4ww33RDGmlHI='],
    ['lètmein', '{SHA}bROMo65UVjGzq9caTwds51nFcAs='],
  ] as const
).map(([password, hash]) => ({ source: 'LDAP', password, hash }));

/** The example of github.com/firebase/scrypt. */
export const FIREBASE: Vector & { readonly hash: object } = {
  source: 'firebase/scrypt',
  password: 'user1password',
  hash: {
    algorithm: 'firebase-scrypt',
    hash: 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
    salt: '42xEC+ixf3L2lw==',
    signer_key:
      'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
    salt_separator: 'Bw==',
    rounds: 8,
    mem_cost: 14,
  },
};

/** Digests of published tables: RFC 1321, FIPS 180 and a Django test. */
const DIGESTS: Vector[] = [
  {
    source: 'RFC 1321',
    password: 'message digest',
    hash: { algorithm: 'md5', hash: 'f96b697d7cb7938d525a2f31aaf161d0' },
  },
  {
    source: 'FIPS 180',
    password: 'abc',
    hash: { algorithm: 'sha1', hash: 'A9993E364706816ABA3E25717850C26C9CD0D89D' },
  },
  {
    source: 'FIPS 180',
    password: 'abc',
    hash: {
      algorithm: 'sha256',
      hash: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    },
  },
  {
    source: 'Django',
    password: 'lètmein',
    hash: {
      algorithm: 'sha1',
      hash: 'cff36ea83f5706ce9aa7454e63e431fc726b2dc8',
      salt: 'seasalt',
      salt_position: 'prefix',
    },
  },
];

export const VECTORS: readonly Vector[] = [
  ...RFC_6070,
  ...RFC_7914,
  ...ARGON2,
  ...DJANGO,
  ...PASSLIB,
  ...LDAP,
  ...DIGESTS,
  FIREBASE,
];

import { randomBytes, randomInt } from 'node:crypto';
import expressApp from 'express';
import {
  clientAddressOf,
  createTrust,
  parseAddress,
} from '../../../src/platform/http/client-address';

const PROXY = '10.0.0.1';
const hops = (count: number) => (_address: string, hop: number) => hop < count;
const behindOne = (forwardedFor: string | undefined) =>
  clientAddressOf(PROXY, forwardedFor, hops(1));

describe('an address', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['203.0.113.9:4001', '203.0.113.9'],
    ['203.0.113.9:', '203.0.113.9'],
    ['203.0.113.9:_port', '203.0.113.9'],
    ['"203.0.113.9:4001"', '203.0.113.9'],
    [' 203.0.113.9 ', '203.0.113.9'],
    ['[203.0.113.9]', '203.0.113.9'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['"[2001:db8::1]:443"', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['[::ffff:203.0.113.9]:443', '203.0.113.9'],
    ['0:0:0:0:0:ffff:203.0.113.9', '203.0.113.9'],
  ])('%s is read as %s', (text, address) => expect(parseAddress(text)).toBe(address));

  test.each([
    '',
    ' ',
    '""',
    'unknown',
    '"unknown"',
    '_hidden',
    '_SEVKISEK:443',
    'for=203.0.113.9',
    'localhost',
    '203.0.113',
    '203.0.113.999',
    '203.0.113.09',
    '203.0.113.9/32',
    '203.0.113.9%eth0',
    '203.0.113.9 203.0.113.10',
    '203.0.113.9:4001:4002',
    '[2001:db8::1',
    '2001:db8::1]',
    '[]',
    '[]:443',
    '2001:db8::1/64',
    '2001:db8:::1',
    '"203.0.113.9',
    `203.0.113.9:${'1'.repeat(200)}`,
    `fe80::1%${'z'.repeat(200)}`,
    'x'.repeat(16_000),
  ])('%j is none', (text) => expect(parseAddress(text)).toBeUndefined());
});

describe('trusted proxies', () => {
  test('a number trusts that many hops with any address', () => {
    const trust = createTrust(2);
    expect([trust('203.0.113.9', 0), trust('::1', 1), trust('127.0.0.1', 2)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test.each<[string, string[], string[]]>([
    ['10.0.0.1', ['10.0.0.1'], ['10.0.0.2', '::a00:1']],
    ['10.1.0.0/16', ['10.1.0.0', '10.1.255.255'], ['10.0.255.255', '10.2.0.0']],
    ['10.1.0.0/255.255.0.0', ['10.1.2.3'], ['10.2.0.0']],
    ['10.0.0.0/255.255.255.255', ['10.0.0.0'], ['10.0.0.1']],
    ['2001:db8::/32', ['2001:db8::1', '2001:db8:ffff::'], ['2001:db9::1', '10.0.0.1']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3'], ['11.0.0.1']],
    ['::ffff:10.0.0.1', ['10.0.0.1'], ['10.0.0.2']],
    ['loopback', ['127.0.0.1', '127.255.0.1', '::1'], ['128.0.0.1', '::2']],
    ['linklocal', ['169.254.1.1', 'fe80::1'], ['169.253.1.1', 'fec0::1']],
    [
      'uniquelocal',
      ['10.9.9.9', '172.16.0.1', '172.31.0.1', '192.168.1.1', 'fd00::1'],
      ['172.32.0.1', '192.169.0.1', 'fe00::1'],
    ],
  ])('%s', (network, inside, outside) => {
    // Express compiles its setting `trust proxy` with proxy-addr.
    const express = expressApp().set('trust proxy', [network]);
    const theirs = express.get('trust proxy fn') as (address: string, hop: number) => boolean;
    const trust = createTrust([network]);
    for (let round = 0; round < 2; round += 1) {
      expect(inside.filter((address) => !trust(address, 0))).toEqual([]);
      expect(outside.filter((address) => trust(address, 0))).toEqual([]);
    }
    expect([...inside, ...outside].map((address) => theirs(address, 0))).toEqual(
      [...inside, ...outside].map((address) => trust(address, 0)),
    );
    expect(trust('unknown', 0)).toBe(false);
  });
});

describe('the client behind proxies', () => {
  test.each([
    ['no header', undefined, PROXY],
    ['an empty header', '', PROXY],
    ['an empty last entry', '203.0.113.9,', PROXY],
    ['an empty first entry', ', 203.0.113.9', '203.0.113.9'],
    ['an obfuscated entry', '203.0.113.9, _hidden', PROXY],
    ['an unknown entry', 'unknown', PROXY],
    [
      'an entry of the client and one of the proxy',
      '198.51.100.1, 203.0.113.9:4001',
      '203.0.113.9',
    ],
  ])('%s', (_, header, address) => expect(behindOne(header)).toBe(address));

  test('the chain is followed up to the first untrusted address', () => {
    const header = '198.51.100.1, 203.0.113.9:4001, 10.0.0.2:5001';
    expect(clientAddressOf(PROXY, header, hops(0))).toBe(PROXY);
    expect(clientAddressOf(PROXY, header, hops(2))).toBe('203.0.113.9');
    expect(clientAddressOf(PROXY, header, hops(9))).toBe('198.51.100.1');
    // The port of a proxy does not matter.
    const ours = new Set([PROXY, '10.0.0.2']);
    expect(clientAddressOf('::ffff:10.0.0.1', header, (address) => ours.has(address))).toBe(
      '203.0.113.9',
    );
    expect(clientAddressOf(PROXY, 'unknown, 10.0.0.2:5001', hops(2))).toBe('10.0.0.2');
    expect(clientAddressOf(undefined, undefined, hops(1))).toBe('unknown');
  });

  test('a client cannot get another key by forged entries', () => {
    const group = () => randomInt(65_536).toString(16);
    const addresses = [
      () => Array.from({ length: 4 }, () => randomInt(256)).join('.'),
      () => Array.from({ length: 8 }, group).join(':'),
      () => `2001:db8::${group()}`,
    ];
    const forgeries = [
      '',
      'unknown',
      '203.0.113.77',
      '[::1',
      '"',
      () => randomBytes(12).toString('latin1'),
      () => randomBytes(9).toString('hex'),
    ];
    const pick = <T>(list: readonly T[]) => list[randomInt(list.length)] as T;
    for (let round = 0; round < 5000; round += 1) {
      const own = pick(addresses)();
      const expected = parseAddress(own);
      expect(expected).toBeDefined();
      const choice = pick(forgeries);
      const forged = typeof choice === 'string' ? choice : choice();
      const port = randomInt(65_536);
      const written = own.includes(':') ? `[${own}]:${port}` : `${own}:${port}`;
      expect([forged, behindOne(`${forged}, ${written}`)]).toEqual([forged, expected]);
      expect([forged, behindOne(`${forged},${own}`)]).toEqual([forged, expected]);
      // The key is the last entry when it is an address, else the address of the proxy.
      expect([forged, behindOne(forged)]).toEqual([
        forged,
        parseAddress(forged.split(',').at(-1) ?? '') ?? PROXY,
      ]);
    }
  });
});

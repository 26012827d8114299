import { createCursors, flipped, type Position } from '../../../../src/modules/users/search/cursor';

const OLD = 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ';
const NEW = 'Qc0Gs5Hd1Fp6Ln3Yb9Tr4Zw7Xm2Vq8Jk';
const CONTEXT = '["name",{"role":["admin"]},{}]';
const POSITION: Position = {
  side: 'after',
  isInclusive: false,
  value: 'ada',
  id: '652f1c3e9b1d4a0012ab34cd',
};

test('a cursor gives its position back, of every side', () => {
  const { encode, decode } = createCursors([OLD]);
  for (const one of [POSITION, flipped(POSITION), { ...POSITION, value: 5, isInclusive: true }])
    expect(decode(CONTEXT, encode(CONTEXT, one))).toEqual(one);
  expect(flipped(flipped(POSITION))).toEqual(POSITION);
  expect(encode(CONTEXT, POSITION)).toMatch(/^[A-Za-z0-9_-]+$/);
});

test('fault "unsigned cursor": a position that was changed, or signed by another, is refused', () => {
  const { encode, decode } = createCursors([OLD]);
  const cursor = encode(CONTEXT, POSITION);
  const bytes = Buffer.from(cursor, 'base64url');
  const at = bytes.indexOf('ada');
  const changed = Buffer.from(bytes);
  changed.write('adb', at);
  expect(decode(CONTEXT, changed.toString('base64url'))).toBeUndefined();
  expect(decode(CONTEXT, createCursors([NEW]).encode(CONTEXT, POSITION))).toBeUndefined();
  // No MAC at all, and none that counts.
  const payload = bytes.subarray(2 + 16);
  for (const head of [[2, 0], [2], [1, 0], [2, 255]])
    expect(
      decode(CONTEXT, Buffer.concat([Buffer.from(head), payload]).toString('base64url')),
    ).toBeUndefined();
});

test('every changed, missing or added byte is refused', () => {
  const { encode, decode } = createCursors([OLD]);
  const bytes = Buffer.from(encode(CONTEXT, POSITION), 'base64url');
  for (let i = 0; i < bytes.length; i += 1) {
    const changed = Buffer.from(bytes);
    changed[i] = (changed[i] ?? 0) ^ 1;
    expect(decode(CONTEXT, changed.toString('base64url'))).toBeUndefined();
    expect(decode(CONTEXT, bytes.subarray(0, i).toString('base64url'))).toBeUndefined();
  }
  expect(
    decode(CONTEXT, Buffer.concat([bytes, Buffer.from(' ')]).toString('base64url')),
  ).toBeUndefined();
});

test('a cursor belongs to its order and filters', () => {
  const { encode, decode } = createCursors([OLD]);
  expect(decode('["name",{},{}]', encode(CONTEXT, POSITION))).toBeUndefined();
});

test('while secrets change, hosts with either or both accept the cursors of each other', () => {
  const hosts = [createCursors([OLD]), createCursors([NEW, OLD]), createCursors([NEW])];
  const accepted = hosts.map((from) =>
    hosts.map((to) => to.decode(CONTEXT, from.encode(CONTEXT, POSITION)) !== undefined),
  );
  expect(accepted).toEqual([
    [true, true, false],
    [true, true, true],
    [false, true, true],
  ]);
});

test('the same position has the same cursor, so that the ETag of a page stays', () => {
  const cursors = () => createCursors([NEW, OLD]).encode(CONTEXT, POSITION);
  expect(cursors()).toBe(cursors());
});

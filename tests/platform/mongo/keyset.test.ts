import { Types } from 'mongoose';
import { decodeCursor, encodeCursor, rowsAfter } from '../../../src/platform/mongo/keyset';

const ID = '652f1c3e9b1d4a0012ab34cd';
const encoded = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');

test('a cursor decodes to its position, for its own order only', () => {
  const name = { value: 'ada', id: ID };
  expect(decodeCursor(encodeCursor('name', name), 'name', 'string')).toEqual(name);
  const time = { value: 1_700_000_000_000, id: ID };
  expect(decodeCursor(encodeCursor('-at', time), '-at', 'time')).toEqual(time);
});

test.each([
  ['another order', encodeCursor('-name', { value: 'ada', id: ID })],
  ['another type', encodeCursor('name', { value: 5, id: ID })],
  ['no JSON', 'AAAA'],
  ['no array', encoded({ 0: 'name' })],
  ['a member too many', encoded(['name', 'ada', ID, 1])],
  ['an operator as the value', encoded(['name', { $gt: '' }, ID])],
  ['a malformed id', encoded(['name', 'ada', 'x'])],
  ['an operator as the id', encoded(['name', 'ada', { $ne: null }])],
])('%s is refused', (_fault, cursor) => {
  expect(decodeCursor(cursor, 'name', 'string')).toBeUndefined();
});

test.each([8.64e15 + 1, 1.5, null, '1'])('%p is refused as a time', (value) => {
  expect(decodeCursor(encoded(['-at', value, ID]), '-at', 'time')).toBeUndefined();
});

test('the rows after a position are one range of the index, in either direction', () => {
  const _id = new Types.ObjectId(ID);
  expect(rowsAfter('name', 1, { value: 'ada', id: ID })).toEqual([
    { name: { $gte: 'ada' } },
    { $or: [{ name: { $gt: 'ada' } }, { _id: { $gt: _id } }] },
  ]);
  expect(rowsAfter('at', -1, { value: new Date(5), id: ID })).toEqual([
    { at: { $lte: new Date(5) } },
    { $or: [{ at: { $lt: new Date(5) } }, { _id: { $lt: _id } }] },
  ]);
});

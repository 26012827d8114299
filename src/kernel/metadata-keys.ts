/**
 * Names that no member of metadata may have. The last two make an object something else to the
 * driver (`_bsontype`) and to mongoose: a write fails, or stores another value.
 */
export const REFUSED_KEYS: readonly string[] = [
  ...['__proto__', 'constructor', 'prototype'],
  ...['_bsontype', 'isMongooseBuffer'],
];

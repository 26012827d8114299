const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The RFC 7396 patch that makes `after` of `before`; undefined: they are the same. */
export function patchOf(before, after) {
  if (isSame(before, after)) return undefined;
  if (!isObject(before) || !isObject(after)) return after;
  const patch = {};
  for (const name of Object.keys(before)) if (!(name in after)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    const change = patchOf(before[name], value);
    if (change !== undefined) patch[name] = change;
  }
  return patch;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether applying the merge patch (RFC 7396) would change nothing. */
export function isApplied(target: unknown, patch: unknown): boolean {
  if (isObject(patch))
    return (
      isObject(target) &&
      Object.entries(patch).every(([name, value]) =>
        value === null
          ? (target[name] ?? null) === null
          : isApplied(target[name] ?? (isObject(value) ? {} : undefined), value),
      )
    );
  if (Array.isArray(patch))
    return (
      Array.isArray(target) &&
      target.length === patch.length &&
      patch.every((item, at) => isSame(item, target[at]))
    );
  return target === patch;
}

function isSame(one: unknown, other: unknown): boolean {
  if (!isObject(one) || !isObject(other)) return isApplied(other, one);
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return names.length === others.length && names.every((name) => isSame(one[name], other[name]));
}

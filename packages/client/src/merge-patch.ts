type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7396 §2, as the service does it. */
export function mergePatch(target: unknown, patch: JsonObject): JsonObject {
  const merged = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = isObject(value) ? mergePatch(merged[name], value) : value;
  }
  return merged;
}

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
  return isSame(patch, target);
}

/** Whether two states agree in the members that the merge patch names. */
export const isSameWhere = (patch: unknown, one: unknown, other: unknown): boolean =>
  isObject(patch) && isObject(one) && isObject(other)
    ? Object.keys(patch).every((name) => isSameWhere(patch[name], one[name], other[name]))
    : isSame(one, other);

function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one))
    return (
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((item, at) => isSame(item, other[at]))
    );
  if (!isObject(one) || !isObject(other)) return one === other;
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return names.length === others.length && names.every((name) => isSame(one[name], other[name]));
}

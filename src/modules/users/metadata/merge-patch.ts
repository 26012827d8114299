import type { JsonObject } from '../model';
import { isObject } from './json';

/**
 * RFC 7396 §2: a member that is null removes, an object is merged, every other value replaces. The
 * keys were validated: none is `__proto__`.
 */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else if (isObject(value)) {
      const present = merged[key];
      merged[key] = mergePatch(isObject(present) ? present : {}, value);
    } else merged[key] = value;
  }
  return merged;
}

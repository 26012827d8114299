import type { Method } from './types.js';

export interface Addressed {
  readonly method: Method;
  /** Of the document, e.g. `/api/users/{id}`. */
  readonly template: string;
  readonly path?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * `fetch` folds `.` and `..`, and an empty part names the list above: the request would be about
 * something else. Some proxies decode a part once more, and fold then.
 */
const FOLDED = /^(\.|%2e){0,2}$|[/\\]|%2f|%5c/i;

/** Throws before anything is sent where a parameter of the path names nothing. */
export function urlOf(baseUrl: string, { method, template, path, query }: Addressed): string {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value: unknown = path?.[name];
    if (typeof value !== 'string' || FOLDED.test(value))
      throw new TypeError(
        `${method} ${template} needs path.${name}; ${JSON.stringify(value)} is not one`,
      );
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== undefined) search.set(name, String(value));
  return `${baseUrl}${filled}${search.size > 0 ? `?${search}` : ''}`;
}

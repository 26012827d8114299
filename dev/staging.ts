/** The target must not be disturbed. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

interface Document {
  readonly servers?: readonly { readonly description?: string }[];
}

/** Refuses a production target, and one that does not say what it is. */
export async function refuseProduction(target: string): Promise<void> {
  const response = await fetch(`${target}/openapi.json`, { signal: AbortSignal.timeout(5000) });
  const document = response.ok ? ((await response.json()) as Document) : {};
  const description = document.servers?.[0]?.description;
  if (description === undefined)
    throw new RefusedError(`${target} does not say that it is no production: /openapi.json`);
  if (/production/i.test(description))
    throw new RefusedError(`${target} is production (its NODE_ENV). It is left alone.`);
}

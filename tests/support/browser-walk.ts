/** What a browser does on a navigation: it follows redirects, and keeps cookies by origin. */
export interface Walker {
  /**
   * Follows redirects from `url` until a page of `pages`, or an answer that is no redirect. Resolves
   * with every URL on the way, the last one first.
   */
  go(url: string): Promise<Arrival>;
  /** The cookies of an origin, as `name=value`. */
  readonly cookies: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export interface Arrival {
  readonly url: URL;
  /** Of the answer that is no redirect; 0: a page was reached. */
  readonly status: number;
  readonly text: string;
  readonly visited: readonly string[];
  /** `Set-Cookie` lines on the way. */
  readonly set: readonly string[];
}

export interface WalkerOptions {
  /** How origins are asked that are served elsewhere: the public URL of the service. */
  readonly hosts: Readonly<Record<string, (path: string, cookie: string) => Promise<Answered>>>;
  /** Stops before a URL that begins with one of these. */
  readonly pages: readonly string[];
}

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const STEPS_MAX = 12;

export function createWalker({ hosts, pages }: WalkerOptions): Walker {
  const cookies = new Map<string, Map<string, string>>();

  const jarOf = (origin: string) => {
    const jar = cookies.get(origin) ?? new Map<string, string>();
    cookies.set(origin, jar);
    return jar;
  };

  async function visit(url: URL): Promise<Answered> {
    const jar = jarOf(url.origin);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const ask = hosts[url.origin] ?? (() => fetched(url, cookie));
    const response = await ask(url.pathname + url.search, cookie);
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(name.length + 1);
      if (value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  return {
    cookies,
    async go(first) {
      const visited: string[] = [];
      const set: string[] = [];
      let url = new URL(first);
      for (let step = 0; step < STEPS_MAX; step += 1) {
        visited.push(url.href);
        if (pages.some((page) => url.href.startsWith(page)))
          return { url, status: 0, text: '', visited, set };
        const response = await visit(url);
        set.push(...response.headers.getSetCookie());
        const location = response.headers.get('location');
        if (location === null) {
          const { status, text } = response;
          return { url, status, text, visited, set };
        }
        url = new URL(location, url);
      }
      throw new Error(`more than ${STEPS_MAX} redirects: ${visited.join(' ')}`);
    },
  };
}

async function fetched(url: URL, cookie: string): Promise<Answered> {
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { accept: 'text/html,*/*;q=0.8', cookie },
    signal: AbortSignal.timeout(15_000),
  });
  const { status, headers } = response;
  return { status, headers, text: await response.text() };
}

import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  ServerResponse,
} from 'node:http';
import express, { type Express } from 'express';
import type { RequestContext } from '../../../src/platform/http/context';
import type { End } from '../../../src/platform/http/end-batch';
import { messageConstructors } from '../../../src/platform/http/fast-prototypes';
import { endWith, installPendingHeaders } from '../../../src/platform/http/response-head';
import { withServer } from '../../support/with-server';

const TEXT = ['Content-Type', 'text/plain', 'Content-Length', '2'];
const endNow: End = (res, body) => {
  res.end(body);
};

/**
 * An app that uses the additions of Express to requests and responses, with a mounted app, a router
 * and errors.
 */
function createTestApp(): Express {
  const app = express();
  installPendingHeaders(app);
  app.set('trust proxy', 1).set('etag', 'strong');
  app.use((req, _res, next) => {
    req.context = { pendingHeaders: [] as string[] } as RequestContext;
    req.context.pendingHeaders.push('X-Pending', 'yes', 'RateLimit', '"client"; r=1');
    next();
  });
  app.get('/request', (req, res) => {
    const { ip, ips, protocol, hostname, path, query, fresh, xhr, originalUrl } = req;
    res.json({
      ip,
      ips,
      protocol,
      hostname,
      path,
      query,
      fresh,
      xhr,
      originalUrl,
      accepts: req.accepts('json'),
      host: req.get('host') !== '',
    });
  });
  app.get('/whole', (_req, res) => {
    endWith(res, 200, TEXT, 'ok', endNow);
  });
  app.get('/whole-after-set', (_req, res) => {
    res.setHeader('X-Own', '1');
    res.append('RateLimit', '"credentials"; r=2');
    endWith(res, 200, TEXT, 'ok', endNow);
  });
  app.get('/override', (_req, res) => res.set('X-Pending', 'mine').status(201).send('text'));
  app.get('/object', (_req, res) => res.writeHead(200, 'Fine', { 'Content-Length': 0 }).end());
  app.get('/implicit', (_req, res) => {
    res.write('a');
    res.end('b');
  });
  app.get('/cookie', (_req, res) =>
    res.cookie('a', 'b', { httpOnly: true }).redirect(303, '/elsewhere'),
  );
  app.get('/locals/:name', (req, res) => {
    res.locals['name'] = req.params['name'];
    res.format({ json: () => res.json(res.locals), text: () => res.send('text') });
  });
  app.get('/fails', () => {
    throw new Error('expected');
  });
  const mounted = express();
  mounted.get('/in', (req, res) =>
    res.json({ baseUrl: req.baseUrl, mountpath: req.app.mountpath }),
  );
  app.use('/mounted', mounted);
  app.get('/after', (req, res) =>
    res.json({ same: req.app === app, res: req.res === res, req: res.req === req }),
  );
  app.use(
    (error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
      res.status(500).json({ message: error.message });
    },
  );
  return app;
}

interface Answer {
  readonly status: number | undefined;
  readonly message: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(port: number, path: string, method = 'GET'): Promise<Answer> {
  const headers = {
    'X-Forwarded-For': '203.0.113.7, 198.51.100.2',
    'X-Requested-With': 'XMLHttpRequest',
    Host: 'api.example',
  };
  return new Promise((resolve, reject) => {
    httpRequest({ port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      const { statusCode, statusMessage } = response;
      const { date: _, ...rest } = response.headers;
      response.on('end', () =>
        resolve({ status: statusCode, message: statusMessage, headers: rest, body }),
      );
    })
      .on('error', reject)
      .end();
  });
}

const withApp = <T>(
  make: (app: Express) => ReturnType<typeof createServer>,
  work: (port: number) => Promise<T>,
) => withServer(make(createTestApp()), work);

const plain = (app: Express) => createServer(app);
const fast = (app: Express) => createServer(messageConstructors(app), app);

const PATHS = [
  '/request?a=1&b=2',
  '/whole',
  '/whole-after-set',
  '/override',
  '/object',
  '/implicit',
  '/cookie',
  '/locals/x',
  '/fails',
];
const MORE = ['/mounted/in', '/after', '/missing', '/%E0%A4%A'];

test.each([...PATHS, ...MORE])(
  '%s has the same response with and without the constructors',
  async (path) => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const expected = await withApp(plain, (port) => ask(port, path, method));
      expect(await withApp(fast, (port) => ask(port, path, method))).toEqual(expected);
    }
  },
);

test('messages are constructed with the prototypes of Express', async () => {
  const seen: boolean[] = [];
  const make = (app: Express) =>
    createServer(messageConstructors(app), (req, res) => {
      seen.push(
        Object.getPrototypeOf(req) === app.request,
        Object.getPrototypeOf(res) === app.response,
        res instanceof ServerResponse,
      );
      app(req, res);
    });
  await withApp(make, (port) => ask(port, '/after'));
  expect(seen).toEqual([true, true, true]);
});

test('later additions to the prototypes are visible', async () => {
  const make = (app: Express) => {
    const server = fast(app);
    Object.assign(app.response, { shout: (text: string) => text.toUpperCase() });
    app.get('/shout', (_req, res) =>
      res.send((res as unknown as { shout(text: string): string }).shout('hey')),
    );
    return server;
  };
  expect(await withApp(make, (port) => ask(port, '/shout'))).toMatchObject({
    status: 200,
    body: 'HEY',
  });
});

test.each([plain, fast])('pending headers are sent with every kind of response', async (make) => {
  await withApp(make, async (port) => {
    for (const path of [
      '/whole',
      '/object',
      '/implicit',
      '/cookie',
      '/missing',
      '/fails',
      '/mounted/in',
    ]) {
      expect([path, (await ask(port, path)).headers]).toEqual([
        path,
        expect.objectContaining({ 'x-pending': 'yes', ratelimit: '"client"; r=1' }),
      ]);
    }
    expect((await ask(port, '/override')).headers['x-pending']).toBe('mine');
    const merged = (await ask(port, '/whole-after-set')).headers;
    expect(merged).toMatchObject({
      'x-own': '1',
      'x-pending': 'yes',
      ratelimit: '"client"; r=1, "credentials"; r=2',
      'content-length': '2',
    });
  });
});

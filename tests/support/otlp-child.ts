import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readTraces } from './otlp-messages';

/**
 * A receiver of OTLP over HTTP in its own process: sends its port, and then the spans of every
 * request, to its parent. OTLP_ANSWER=never: it accepts requests and does not answer.
 */
const answers = process.env['OTLP_ANSWER'] !== 'never';

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const { method, url, headers } = request;
    const isExport = method === 'POST' && url === '/v1/traces';
    if (!isExport || headers['content-type'] !== 'application/x-protobuf') {
      response.writeHead(404).end();
      return;
    }
    process.send?.({ headers, spans: answers ? readTraces(Buffer.concat(parts)) : [] });
    // An empty ExportTraceServiceResponse.
    if (answers) response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on('disconnect', () => process.exit(0));

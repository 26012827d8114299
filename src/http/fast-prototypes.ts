import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/** What `http.createServer` may be told to make requests and responses with. */
export interface MessageConstructors {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/**
 * Express gives each request and response another prototype after Node has made them. V8 answers that by leaving its fast
 * paths for both objects: on Node 20 most of a short request's time goes there (docs/performance.md). Messages that are
 * *born* with the app's prototypes need no change: setting the prototype that an object already has does nothing.
 *
 * As classes, so that V8 knows from Node's own constructors how many fields to make room for. Only what a server is given
 * is new: without these (supertest, an app mounted in another) Express works as ever.
 */
export function messageConstructors(app: Express): MessageConstructors {
  class AppRequest extends IncomingMessage {}
  class AppResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  adopt(AppRequest.prototype, app.request);
  adopt(AppResponse.prototype, app.response);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Makes `prototype` what the app's own was: the same parent, and the same properties of its own. */
function adopt(prototype: object, ofApp: object): void {
  Object.setPrototypeOf(prototype, Object.getPrototypeOf(ofApp));
  const { constructor: _, ...own } = Object.getOwnPropertyDescriptors(ofApp) as PropertyDescriptorMap;
  Object.defineProperties(prototype, own);
}

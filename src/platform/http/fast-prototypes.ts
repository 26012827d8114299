import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/** Constructors for `http.createServer`. */
export interface MessageConstructors {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/**
 * Express changes the prototype of each request and response after Node has made them. V8 then
 * leaves its fast paths for both objects: on Node 20 this takes most of a short request's time
 * (docs/performance.md). Messages that are constructed with the app's prototypes need no change:
 * setting the prototype that an object already has does nothing.
 *
 * These are subclasses, so that V8 knows the number of fields from Node's constructors. Only the
 * server uses them: without them (supertest, an app mounted in another) Express works as usual.
 */
export function messageConstructors(app: Express): MessageConstructors {
  class AppRequest extends IncomingMessage {}
  class AppResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  adopt(AppRequest.prototype, app.request);
  adopt(AppResponse.prototype, app.response);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Gives `prototype` the parent and the own properties of the app's prototype. */
function adopt(prototype: object, ofApp: object): void {
  Object.setPrototypeOf(prototype, Object.getPrototypeOf(ofApp));
  const { constructor: _, ...own } = Object.getOwnPropertyDescriptors(
    ofApp,
  ) as PropertyDescriptorMap;
  Object.defineProperties(prototype, own);
}

import type { Request, RequestHandler, Response } from 'express';

/** What is done for each request on the spot, without a say in whether it goes on. */
export type Step = (req: Request, res: Response) => void;

/** Steps as one middleware: Express' router makes half a dozen objects for each that it comes by. */
export function inOneLayer(...steps: readonly [Step, ...Step[]]): RequestHandler {
  return (req, res, next) => {
    for (let i = 0; i < steps.length; i += 1) steps[i]?.(req, res);
    next();
  };
}

import { ends } from './process-ends';
import { host } from './process-host';
import { kills } from './process-kills';
import { overloads } from './process-overload';
import { pm2 } from './process-pm2';
import { stuck } from './process-stuck';
import type { Suite } from './scenario';

export const suite: Suite = {
  name: 'process',
  title: 'Processes of one host',
  setting:
    'One host of four workers, the load on the same machine, open loop; the embedded engine as the database where one is needed.',
  scenarios: [...kills, ...stuck, ...ends, ...pm2, ...host, ...overloads],
};

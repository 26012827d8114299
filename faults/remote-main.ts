import { raw } from '../tests/support/raw-http';
import { type Load, mixOf, startLoad } from './load';
import type { FromRemote, ToRemote } from './remote';

/**
 * The client's process: it runs on a host of the test network and executes commands from IPC.
 */
const loads = new Map<number, Load>();
const send = (message: FromRemote) => process.send?.(message);

async function perform(message: ToRemote): Promise<unknown> {
  switch (message.kind) {
    case 'request':
      return raw(message.url, message.options);
    case 'start': {
      const { mix, ...options } = message.load;
      loads.set(message.id, startLoad({ ...options, request: mixOf(mix) }));
      return performance.timeOrigin + performance.now();
    }
    case 'stop': {
      const load = loads.get(message.load);
      loads.delete(message.load);
      return (await load?.stop()) ?? [];
    }
  }
}

process.on('message', (message: ToRemote) => {
  perform(message).then(
    (value) => send({ id: message.id, value }),
    (error: unknown) => send({ id: message.id, error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

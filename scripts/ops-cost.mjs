// What an open ops page costs the service: CPU seconds of its processes with a page connected and without, in turns.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { startBuilt } from './browser/service.mjs';

const [seconds = '30', turns = '4'] = process.argv.slice(2);
const TICKS_PER_SECOND = 100;
const cpuSeconds = (pids) =>
  pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }, 0);

const service = await startBuilt();
try {
  const pids = [service.pid, ...service.workers];
  await delay(5000);
  async function turn(isOpen) {
    const ending = new AbortController();
    if (isOpen) {
      const { body } = await fetch(`${service.ops}/ops/events`, { signal: ending.signal });
      void body.pipeTo(new WritableStream()).catch(() => {});
    }
    const before = cpuSeconds(pids);
    await delay(Number(seconds) * 1000);
    const used = cpuSeconds(pids) - before;
    ending.abort();
    return (100 * used) / Number(seconds);
  }
  const shares = { without: [], with: [] };
  for (let i = 0; i < Number(turns); i += 1) {
    // In changing order: what the service does less and less after its start cancels out.
    for (const isOpen of i % 2 === 0 ? [false, true] : [true, false])
      shares[isOpen ? 'with' : 'without'].push(await turn(isOpen));
  }
  const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
  const [without, open] = [mean(shares.without), mean(shares.with)];
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
  console.log(
    `share of a core, primary and ${service.workers.length} workers, ${turns} x ${seconds} s each, load of the machine ${load}:`,
  );
  console.log(
    `  page closed ${without.toFixed(2)} %  page open ${open.toFixed(2)} %  difference ${(open - without).toFixed(2)} %`,
  );
  process.exitCode = open - without <= 1 ? 0 : 1;
} finally {
  await service.close();
}

import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import type { Question } from '../bench';
import { everyone } from '../contestants';
import { onCpus } from '../cpus';
import { subject } from '../dataset';
import type { Standing } from '../field';

const run = promisify(execFile);
const PATH = '/api/auth/profile';

/**
 * The profile reads again by wrk, a generator in C that shares nothing with ours: both must see the
 * same order and ratios.
 */
export const secondOpinion: Question = {
  id: 'second-opinion',
  title: `GET ${PATH} by wrk`,
  quick: false,
  async ask(bench) {
    // `wrk -v` says its version and ends with 1.
    if (spawnSync('wrk', ['-v']).error !== undefined) {
      bench.say('  wrk is not installed: skipped');
      return;
    }
    await bench.withField(everyone, {}, async (field) => {
      for (const standing of field)
        await byWrk(
          bench.loadCpus(),
          standing,
          bench.options.connections,
          bench.options.warmSeconds,
        );
      for (let round = 0; round < Math.min(3, bench.options.rounds); round += 1) {
        for (const standing of field) {
          const perSecond = await byWrk(
            bench.loadCpus(),
            standing,
            bench.options.connections,
            bench.options.seconds,
          );
          bench.record(
            { question: 'second-opinion', name: 'requests', unit: 'req/s' },
            standing,
            perSecond,
          );
        }
      }
    });
  },
};

async function byWrk(
  cpus: readonly number[],
  { url, contestant }: Standing,
  connections: number,
  seconds: number,
): Promise<number> {
  const header = `Authorization: Bearer ${contestant.token(subject(1))}`;
  const args = [`-t${cpus.length}`, `-c${connections}`, `-d${seconds}s`, '-H', header, url + PATH];
  const { command, args: all } = onCpus(cpus, 'wrk', args);
  const { stdout } = await run(command, [...all]);
  const perSecond = Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1]);
  if (!Number.isFinite(perSecond)) throw new Error(`wrk said something unknown:\n${stdout}`);
  return perSecond;
}

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { allowedCpus, canPin } from './cpus';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly distribution: string;
  readonly commit: string;
  readonly date: string;
  /** Processes that wanted a core during the minute before: more than none disturb. */
  readonly loadBefore: number;
  readonly pinned: boolean;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: allowedCpus().length,
    memoryGigabytes: Math.round(totalmem() / 1e9),
    kernel: `${process.platform} ${release().split('-')[0]}`,
    distribution:
      attempt(
        () => /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1],
      ) ?? process.platform,
    commit:
      attempt(
        () =>
          git('rev-parse', '--short', 'HEAD') +
          (git('status', '--porcelain', '--', 'src') === '' ? '' : ' + changes'),
      ) ?? 'unknown',
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    loadBefore: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    pinned: canPin,
  };
}

const git = (...args: string[]) =>
  execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

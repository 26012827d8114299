import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArguments } from '../../src/app/cli/arguments';
import { DOCTOR_OPTIONS, examine } from '../../src/app/doctor/examine';
import { createReport, type Report } from '../../src/app/doctor/finding';
import { root } from './service';

export interface Diagnosis {
  readonly report: Report;
  /** Names of the checks that found something, each once. */
  readonly found: readonly string[];
}

/** Runs the checks in this process, as the command does. */
export async function diagnose(...args: string[]): Promise<Diagnosis> {
  const report = createReport();
  await examine(report, parseArguments(args, DOCTOR_OPTIONS).options);
  return { report, found: [...new Set(report.findings.map(({ check }) => check))] };
}

/** A folder without `.env`, in which commands run. */
const empty = mkdtempSync(path.join(tmpdir(), 'doctor-'));

/** Runs the built command. */
export function runDoctor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [path.join(root, 'dist', 'cli', 'doctor.js'), ...args], {
    cwd: empty,
    env: { PATH, HOME, ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    output.stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    output.stderr += data.toString();
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, ...output })),
  );
}

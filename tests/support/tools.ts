import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Where distributions keep daemons that an ordinary user's PATH leaves out. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin', '/sbin'];

/** The full path of a program, or undefined where it is not installed. */
export function findTool(name: string): string | undefined {
  for (const folder of FOLDERS) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here: the next folder.
    }
  }
  return undefined;
}

/** `describe`, or a skipped one that names what the machine lacks. */
export function describeWith(tools: readonly string[], title: string, body: () => void): void {
  const missing = tools.filter((tool) => findTool(tool) === undefined);
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing.join(', ')} not installed)`, body);
}

// Removes compiled files whose source is gone: Jest would run them, and tsc never deletes. The bundle is made anew.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

for (const folder of ['src', 'tests', 'bench', 'faults', 'dev', 'packages'].filter((one) =>
  existsSync(join('dist', one)),
)) {
  for (const file of readdirSync(join('dist', folder), { recursive: true })) {
    const source = /^(.+)\.js(\.map)?$/.exec(join(folder, String(file)))?.[1];
    if (source !== undefined && !existsSync(`${source}.ts`))
      rmSync(join('dist', folder, String(file)));
  }
}

// Builds packages/*: dist/esm and dist/cjs of each, with their types. Which form a file has is said by the package.json beside it.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

const forms = {
  esm: { type: 'module', options: ['--module', 'esnext', '--moduleResolution', 'bundler'] },
  cjs: { type: 'commonjs', options: ['--module', 'node20', '--moduleResolution', 'node16'] },
};

for (const name of readdirSync('packages')) {
  const folder = `packages/${name}`;
  if (!existsSync(`${folder}/package.json`)) continue;
  rmSync(`${folder}/dist`, { recursive: true, force: true });
  for (const [form, { type, options }] of Object.entries(forms)) {
    const out = `${folder}/dist/${form}`;
    const args = ['-p', folder, '--outDir', out, ...options];
    const { status } = spawnSync('node_modules/.bin/tsc', args, { stdio: 'inherit' });
    if (status !== 0) process.exit(1);
    mkdirSync(out, { recursive: true });
    writeFileSync(`${out}/package.json`, `${JSON.stringify({ type })}\n`);
  }
}

// The examples find the packages by their names, as where they are installed.
const links = 'examples/node_modules/@clustered-auth';
mkdirSync(links, { recursive: true });
for (const one of readdirSync('packages', { withFileTypes: true })) {
  if (!one.isDirectory()) continue;
  rmSync(`${links}/${one.name}`, { force: true });
  symlinkSync(`../../../packages/${one.name}`, `${links}/${one.name}`);
}

// The fixture has the service itself, as a project of its own: its code looks for package.json above it.
const service = 'packages/testing/dist/service';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const name = 'test-service';
mkdirSync(service, { recursive: true });
writeFileSync(
  `${service}/package.json`,
  `${JSON.stringify({ name, version, type: 'commonjs' })}\n`,
);
cpSync('templates', `${service}/templates`, { recursive: true });
const bundled = ['scripts/bundle.mjs', `${service}/dist`, 'test-service'];
if (spawnSync(process.execPath, bundled, { stdio: 'inherit' }).status !== 0) process.exit(1);
// How a file finds its folder is not the same in both forms.
writeFileSync(
  'packages/testing/dist/esm/folder.js',
  'export const folder = import.meta.dirname;\n',
);

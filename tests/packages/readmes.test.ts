import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../support/service';

/** Examples are copied: each must compile as it stands, beside names that are the reader's own. */
const DOCUMENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'packages/client/README.md': {
    client: "import('@clustered-auth/client').Client",
    name: 'string',
    email: 'string',
    password: 'string',
    askForCode: '(factors: readonly string[]) => Promise<string>',
    showTaken: '() => void',
    showRetry: '() => void',
    show: '(pointer: string, message: string) => void',
    ndjson: 'string',
    csv: 'string',
  },
  'packages/verifier/README.md': {
    token: 'string',
    verifier: "import('@clustered-auth/verifier').Verifier",
    createVerifier: "typeof import('@clustered-auth/verifier').createVerifier",
    app: "import('express').Express",
    fastify: "import('fastify').FastifyInstance",
  },
  'packages/testing/README.md': {
    createApp: `(options: { issuer: string }) => {
      get(path: string, headers: object): Promise<{ status: number }>;
    }`,
  },
  'docs/integrate.md': {
    email: 'string',
    password: 'string',
    showFactors: '(result: object) => void',
    clientId: 'string',
    clientSecret: 'string',
    app: "import('express').Express",
  },
};

/** The blocks in TypeScript, each as a module: what it declares itself hides what is global. */
const modulesOf = (file: string): string[] =>
  [...readFileSync(path.join(root, file), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, block]) => `export {};\n${block}`,
  );

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'readmes-'));
  const modules = path.join(folder, 'node_modules');
  mkdirSync(path.join(modules, '@clustered-auth'), { recursive: true });
  for (const name of ['client', 'verifier', 'testing'])
    symlinkSync(path.join(root, 'packages', name), path.join(modules, '@clustered-auth', name));
  for (const name of ['@types', 'express', 'fastify'])
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    ...{ module: 'nodenext', target: 'es2022', lib: ['es2023', 'esnext.disposable'] },
    ...{ types: ['node'], noEmit: true, skipLibCheck: true },
  };
  const files = { 'package.json': { type: 'module' }, 'tsconfig.json': { compilerOptions } };
  for (const [name, json] of Object.entries(files))
    writeFileSync(path.join(folder, name), JSON.stringify(json));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(Object.keys(DOCUMENTS))('the examples of %s compile in strict TypeScript', (file) => {
  const modules = modulesOf(file);
  expect(modules.length).toBeGreaterThan(1);
  const stem = path.dirname(file).replaceAll('/', '-');
  const globals = Object.entries(DOCUMENTS[file] ?? {});
  const files = {
    [`${stem}.d.ts`]: globals.map(([name, type]) => `declare const ${name}: ${type};`).join('\n'),
    ...Object.fromEntries(modules.map((text, n) => [`${stem}-${n}.ts`, text])),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  const config = path.join(folder, `tsconfig-${stem}.json`);
  writeFileSync(config, JSON.stringify({ extends: './tsconfig.json', files: Object.keys(files) }));
  const tsc = path.join(root, 'node_modules', '.bin', 'tsc');
  const { stdout } = spawnSync(tsc, ['-p', config], { cwd: folder, encoding: 'utf8' });
  expect(stdout).toBe('');
});

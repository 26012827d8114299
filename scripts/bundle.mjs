// Bundles the service into dist/, or the folder that the command names: main.js, pm2.js, cli/, threads/ and the embedded database. A worker started from 1,900
// files takes a core 1.5 s, from the bundle 0.4 s (docs/adr/0037-bundle.md).
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';

const [target = 'dist', program = 'service'] = process.argv.slice(2);
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
const commands = [...new Set(JSON.stringify(scripts).match(/(?<=dist\/cli\/)\w+(?=\.js)/g))];

/** Native code, and libraries that start their own files as threads. */
const installed = ['bcrypt', '@node-rs/argon2', 'piscina', 'pino'];
/** MongoDB's driver uses them where they are installed. */
const optional = [
  ...['kerberos', 'snappy', 'mongodb-client-encryption', '@mongodb-js/zstd', 'gcp-metadata'],
  ...['@aws-sdk/credential-providers', 'aws4', 'socks'],
];

/** Licences ask that their texts go with the code. */
function writeLicences(file, modules) {
  const roots = modules.flatMap((id) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []);
  const texts = [...new Set(roots)].sort().map((root) => {
    const { name, version, license } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
    const own = readdirSync(root).find((one) => /^licen[cs]e/i.test(one));
    const text = own === undefined ? '' : readFileSync(`${root}/${own}`, 'utf8').trim();
    return `${name} ${version}, ${license}\n\n${text}`.trim();
  });
  writeFileSync(file, `${texts.join(`\n\n${'-'.repeat(72)}\n\n`)}\n`);
}

async function bundle(folder, input, besides = []) {
  const build = await rolldown({
    input,
    platform: 'node',
    external: [...installed, ...optional],
    // Its CommonJS form hides its imports from bundlers.
    resolve: { alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' } },
    // A clean build says nothing, and of libraries' code nothing can be done here.
    logLevel: 'warn',
    checks: { eval: false },
  });
  const { output } = await build.write({
    dir: folder,
    format: 'cjs',
    sourcemap: program === 'service',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
  });
  await build.close();
  const modules = output.flatMap(({ moduleIds = [] }) => moduleIds);
  writeLicences(`${folder}/THIRD-PARTY-LICENSES.txt`, [...modules, ...besides]);
  // Only now: a service that runs from this folder may start a worker at any time.
  const written = new Set(output.map(({ fileName }) => fileName));
  for (const file of existsSync(`${folder}/chunks`) ? readdirSync(`${folder}/chunks`) : [])
    if (!written.has(`chunks/${file}`)) rmSync(`${folder}/chunks/${file}`);
}

/** The administration page: its modules and the client in one file that browsers load. */
async function bundlePage(source, folder) {
  const build = await rolldown({
    input: { admin: `${source}/main.mjs` },
    resolve: {
      alias: { '@clustered-auth/client': `${process.cwd()}/packages/client/src/index.ts` },
      extensionAlias: { '.js': ['.ts', '.js'] },
    },
    logLevel: 'warn',
  });
  await build.write({ dir: folder, format: 'esm', minify: true, entryFileNames: '[name].js' });
  await build.close();
  for (const file of ['admin.html', 'admin.css']) cpSync(`${source}/${file}`, `${folder}/${file}`);
}

const threads = { 'threads/import-rows': 'src/app/threads/import-rows.ts' };
const programs = {
  service: () => ({
    ...{ main: 'src/main.ts', pm2: 'src/app/pm2.ts', ...threads },
    ...Object.fromEntries(commands.map((name) => [`cli/${name}`, `src/app/cli/${name}.ts`])),
  }),
  // For @clustered-auth/testing. Not in the image, which is built without dev/.
  'test-service': () => ({ main: 'dev/test-service/main.ts', ...threads }),
};
/** Files of libraries that browsers load. */
const assets = [
  ...['uplot/dist/uPlot.iife.min.js', 'uplot/dist/uPlot.min.css'],
  ...['swagger-ui-dist/swagger-ui-bundle.js', 'swagger-ui-dist/swagger-ui.css'],
].map((file) => `node_modules/${file}`);
await bundle(target, programs[program](), program === 'service' ? assets : []);
// Files that browsers load, served from here: the image needs no package for them.
if (program === 'service') {
  await bundlePage('src/modules/admin-page/page', `${target}/assets/admin`);
  for (const folder of ['src/runtime/ops/page', 'src/platform/http/docs/try-page'])
    cpSync(folder, `${target}/assets`, { recursive: true });
  for (const file of assets) cpSync(file, `${target}/assets/${file.split('/').at(-1)}`);
}
// Not in the image, which is built without dev/.
if (existsSync('dev/embedded-mongo'))
  await bundle(`${target}/embedded-mongo`, {
    ...{ index: 'dev/embedded-mongo/index.ts', main: 'dev/embedded-mongo/main.ts' },
    host: 'dev/embedded-mongo/host.ts',
  });

import { createBench, type Question } from './bench';
import { planCpus } from './cpus';
import { seedUsers } from './dataset';
import { createFigures, showSpread } from './figures';
import { parseOptions } from './options';
import { profile } from './questions/profile';
import { resolveRuntimes } from './runtimes';
import { startStores } from './stores';

const QUESTIONS: readonly Question[] = [profile];

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const stores = await startStores(planCpus(1).stores, options.mongodbUri ?? '');
  try {
    await seedUsers(stores.mongodbUri, 1000);
    const figures = createFigures();
    const bench = createBench({ options, runtimes: resolveRuntimes(options.nodes), stores, figures, say: (line) => console.log(line) });
    for (const question of QUESTIONS) await question.ask(bench);
    for (const figure of figures.all) console.log(figure.question, figure.name, figure.node, figure.contestant, showSpread(figure.samples));
  } finally {
    await stores.close();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

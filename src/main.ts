// `main.ts` and `run.ts` are outside the folders of `src`, because they are the entry point of the process and no
// folder may import them.
import { enableCompileCacheIn } from './platform/process/compile-cache.ts';

enableCompileCacheIn(process.env['DATA_DIR'] ?? '.data');
// The cache covers only modules that are imported after this point, so `run.ts` is imported dynamically.
const { run } = await import('./run.ts');
await run(process.argv[2]);

import { enableCompileCacheIn } from './platform/process/compile-cache.ts';

enableCompileCacheIn(process.env['DATA_DIR'] ?? '.data');
// Only what is imported from here on is found there.
const { run } = await import('./run.ts');
await run(process.argv[2]);

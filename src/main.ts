import { keepCompiledCode } from './keep-compiled-code.ts';

keepCompiledCode(process.env['DATA_DIR'] ?? '.data');
// Only what is imported from here on is found there.
const { run } = await import('./run.ts');
await run(process.argv[2]);

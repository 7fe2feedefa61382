import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// npm runs this file after `npm ci`, so that a file in the clone can import `@nightjar/client`, whose exports are its
// build output. An installation with --omit=dev may have no compiler, and does not need the output.
const root = new URL('../', import.meta.url);
const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root));
if (existsSync(compiler)) {
  const project = fileURLToPath(new URL('packages/client', root));
  execFileSync(process.execPath, [compiler, '-p', project], { stdio: 'inherit' });
}

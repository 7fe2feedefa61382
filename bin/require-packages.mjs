// Runs before every npm script. The file is plain JavaScript, because before `npm ci` it is run by the machine's Node,
// which may be Node 20.
import { existsSync } from 'node:fs';

// npm writes this file last, so a missing file means that no install was completed.
const installed = new URL('../node_modules/.package-lock.json', import.meta.url);
// An install without its scripts lacks the Node that runs TypeScript.
if (!existsSync(installed) || !process.features.typescript) {
  process.stderr.write('The packages are not installed. Run npm ci first.\n');
  process.exit(1);
}

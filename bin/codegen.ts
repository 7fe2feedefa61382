import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { apiPages } from './codegen/api-pages.ts';
import { clientTypes } from './codegen/client-types.ts';
import { errorPage } from './codegen/error-pages.ts';
import { lexiconModules, readFolder } from './codegen/lexicon-modules.ts';
import { openApiDocument } from './codegen/openapi.ts';
import { quotaPage } from './codegen/quota-pages.ts';
import { retentionPage } from './codegen/retention-pages.ts';
import { testVectors } from './codegen/test-vectors/all-vectors.ts';
import { tokenPage } from './codegen/token-pages.ts';
import { envExample, settingsPage } from './codegen/settings-pages.ts';

const root = join(import.meta.dirname, '..');
const lexiconFolder = 'src/xrpc/lexicon';
const apiFolder = 'docs/api';
const quotaPath = 'docs/quotas.md';
const retentionPath = 'docs/retention.md';
const tokenPath = 'docs/tokens.md';
const vectorFolder = 'docs/test-vectors';
const clientTypesPath = 'packages/client/src/api/methods.ts';
const fullyGenerated = [lexiconFolder, apiFolder];

/** Writes all generated files; with `--check` it only lists outdated files and exits with 1. */
async function main(): Promise<void> {
  const generated = await generatedFiles();
  const stale = await staleFiles(generated);
  if (process.argv.includes('--check')) {
    for (const path of stale) console.error(`${path} is out of date. Run: npm run codegen`);
    process.exitCode = stale.length === 0 ? 0 : 1;
    return;
  }
  for (const path of stale) {
    const text = generated.get(path);
    if (text === undefined) {
      await rm(join(root, path));
    } else {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    console.log(`${text === undefined ? 'removed' : 'wrote'} ${path}`);
  }
  console.log(`${generated.size} generated files are up to date.`);
}

async function generatedFiles(): Promise<Map<string, string>> {
  const generated = new Map([
    ['.env.example', envExample()],
    [clientTypesPath, await clientTypes(join(root, 'lexicons/blue/catbird/mls'), await methodNames())],
    ['docs/openapi.json', await openApiDocument(root)],
    ['docs/settings.md', settingsPage()],
    ['docs/errors.md', await errorPage(root)],
    [quotaPath, quotaPage(await readFile(join(root, quotaPath), 'utf8'))],
    [tokenPath, tokenPage(await readFile(join(root, tokenPath), 'utf8'))],
    [retentionPath, retentionPage(await readFile(join(root, retentionPath), 'utf8'))],
  ]);
  for (const [path, text] of await lexiconModules(root, join(root, 'lexicons'))) {
    generated.set(`${lexiconFolder}/${path}`, text);
  }
  for (const [path, text] of await apiPages(root)) generated.set(`${apiFolder}/${path}`, text);
  for (const [path, text] of testVectors()) generated.set(`${vectorFolder}/${path}`, text);
  return generated;
}

/** Returns the names of all lexicons with a method or a subscription. */
async function methodNames(): Promise<string[]> {
  const files = await readdir(join(root, 'lexicons/blue/catbird/mls'));
  return files
    .filter((file) => file.endsWith('.json') && file !== 'defs.json')
    .map((file) => file.replace('.json', ''))
    .toSorted();
}

/** Returns the paths whose content differs or is missing, and files that do not belong in a fully generated folder. */
async function staleFiles(generated: ReadonlyMap<string, string>): Promise<string[]> {
  const leftovers: string[] = [];
  for (const folder of fullyGenerated) {
    const present = [...(await readFolder(join(root, folder))).keys()].map((path) => `${folder}/${path}`);
    leftovers.push(...present.filter((path) => !generated.has(path)));
  }
  const stale: string[] = [];
  for (const [path, text] of generated) {
    const current = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (current !== text) stale.push(path);
  }
  return [...stale, ...leftovers];
}

await main();

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { apiPages } from './codegen/api-pages.ts';
import { errorPage } from './codegen/error-pages.ts';
import { lexiconModules, readFolder } from './codegen/lexicon-modules.ts';
import { quotaPage } from './codegen/quota-pages.ts';
import { retentionPage } from './codegen/retention-pages.ts';
import { tokenPage } from './codegen/token-pages.ts';
import { envExample, settingsPage } from './codegen/settings-pages.ts';

const root = join(import.meta.dirname, '..');
const lexiconFolder = 'src/xrpc/lexicon';
const apiFolder = 'docs/api';
const quotaPath = 'docs/quotas.md';
const retentionPath = 'docs/retention.md';
const tokenPath = 'docs/tokens.md';
const whollyGenerated = [lexiconFolder, apiFolder];

/** Writes everything that is made from something else; with `--check`, only says what is out of date and exits with 1. */
async function main(): Promise<void> {
  const wanted = await wantedFiles();
  const stale = await staleFiles(wanted);
  if (process.argv.includes('--check')) {
    for (const path of stale) console.error(`${path} is out of date. Run: npm run codegen`);
    process.exitCode = stale.length === 0 ? 0 : 1;
    return;
  }
  for (const path of stale) {
    const text = wanted.get(path);
    if (text === undefined) {
      await rm(join(root, path));
    } else {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    console.log(`${text === undefined ? 'removed' : 'wrote'} ${path}`);
  }
  console.log(`${wanted.size} generated files are up to date.`);
}

async function wantedFiles(): Promise<Map<string, string>> {
  const wanted = new Map([
    ['.env.example', envExample()],
    ['docs/settings.md', settingsPage()],
    ['docs/errors.md', await errorPage(root)],
    [quotaPath, quotaPage(await readFile(join(root, quotaPath), 'utf8'))],
    [tokenPath, tokenPage(await readFile(join(root, tokenPath), 'utf8'))],
    [retentionPath, retentionPage(await readFile(join(root, retentionPath), 'utf8'))],
  ]);
  for (const [path, text] of await lexiconModules(root, join(root, 'lexicons'))) {
    wanted.set(`${lexiconFolder}/${path}`, text);
  }
  for (const [path, text] of await apiPages(root)) wanted.set(`${apiFolder}/${path}`, text);
  return wanted;
}

/** Paths whose content differs, is missing, or (in a folder that is wholly generated) should not be there. */
async function staleFiles(wanted: ReadonlyMap<string, string>): Promise<string[]> {
  const leftovers: string[] = [];
  for (const folder of whollyGenerated) {
    const present = [...(await readFolder(join(root, folder))).keys()].map((path) => `${folder}/${path}`);
    leftovers.push(...present.filter((path) => !wanted.has(path)));
  }
  const stale: string[] = [];
  for (const [path, text] of wanted) {
    const current = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (current !== text) stale.push(path);
  }
  return [...stale, ...leftovers];
}

await main();

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { ApiClient } from '#client/api/api-client.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { codeBelow, methodNames, printedExamples } from './method-page.ts';

const client = join(projectRoot, 'packages/client');

/** The code of an example as a function of its surroundings and of its variables. */
export type RunExample = (
  surroundings: { readonly api: ApiClient; readonly console: { log(value: unknown): void } },
  variables: Readonly<Record<string, string | Uint8Array>>,
) => Promise<void>;

/** The TypeScript examples of all pages as modules in a folder of their own. */
export interface ExampleModules {
  /** Checks the types of every example. @throws Error with the output of the compiler. */
  checkTypes(): Promise<void>;
  load(method: string): Promise<RunExample>;
  /** The client that the overview of the API defines. */
  preamble(): Promise<{ readonly api: ApiClient }>;
}

/**
 * Writes the examples as printed into functions. Only the names of the client's modules are replaced, by the source files
 * that they are built from, and what `change` replaces in the overview.
 */
export async function writeExampleModules(change = (code: string): string => code): Promise<ExampleModules> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-examples-'));
  const sources = await clientSources();
  const readme = await readFile(join(projectRoot, 'docs/api/README.md'), 'utf8');
  const preamble = codeBelow(readme, { heading: '## How do I run the examples?', language: 'ts' });
  await writeFile(join(folder, 'preamble.mts'), `${change(withSources(preamble, sources))}\nexport { api };\n`);
  for (const method of methodNames) await writeFile(join(folder, `${method}.mts`), moduleOf(method, sources));
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: join(client, 'tsconfig.json'),
      compilerOptions: {
        noEmit: true,
        declaration: false,
        allowImportingTsExtensions: true,
        rewriteRelativeImportExtensions: false,
        rootDir: '/',
        noUnusedLocals: false,
        noUnusedParameters: false,
      },
      include: ['*.mts'],
    }),
  );
  return {
    async checkTypes() {
      const tsc = join(projectRoot, 'node_modules/typescript/bin/tsc');
      await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch(({ stdout = '' }: { stdout?: string }) => {
        throw new Error(`the examples have type errors:\n${stdout}`);
      });
    },
    preamble: () => import(pathToFileURL(join(folder, 'preamble.mts')).href) as Promise<{ readonly api: ApiClient }>,
    async load(method) {
      const { run } = (await import(pathToFileURL(join(folder, `${method}.mts`)).href)) as { run: RunExample };
      return run;
    },
  };
}

function moduleOf(method: string, sources: ReadonlyMap<string, string>): string {
  const { typescript, variables } = printedExamples(method);
  const isImport = (line: string): boolean => line.startsWith('import ');
  const lines = withSources(typescript, sources).split('\n');
  const names = variables.map(({ name }) => name).join(', ');
  const types = variables
    .map(({ name, isBytes }) => `readonly ${name}: ${isBytes ? 'Uint8Array' : 'string'}`)
    .join('; ');
  return [
    `import type { ApiClient } from '${join(client, 'src/api/api-client.ts')}';`,
    ...lines.filter(isImport),
    'interface Surroundings { readonly api: ApiClient; readonly console: { log(value: unknown): void } }',
    `export async function run({ api, console }: Surroundings, { ${names} }: { ${types} }): Promise<void> {`,
    ...lines.filter((line) => !isImport(line)),
    '}',
    '',
  ].join('\n');
}

function withSources(code: string, sources: ReadonlyMap<string, string>): string {
  return code.replaceAll(
    /(?<= from ')@nightjar\/client\/([\w-]+)(?=')/g,
    (name, entry: string) => sources.get(entry) ?? name,
  );
}

/** Returns the source file of each module that the client exports. */
async function clientSources(): Promise<Map<string, string>> {
  const { exports } = z
    .object({ exports: z.record(z.string(), z.object({ default: z.string() })) })
    .parse(JSON.parse(await readFile(join(client, 'package.json'), 'utf8')));
  return new Map(
    Object.entries(exports).map(([name, { default: built }]) => [
      name.replace('./', ''),
      join(client, built.replace('./dist/', 'src/').replace(/[.]js$/, '.ts')),
    ]),
  );
}

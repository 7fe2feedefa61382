import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { jobs } from '#jobs/catalogue.ts';
import { settings } from '#platform/config/settings.ts';
import { quotas } from '#quota/table/quotas.ts';
import type { Quota } from '#quota/table/quotas.ts';
import { readTree, withoutComments } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

/** Names that two lists do not share, each with what to do. */
function differences(
  left: Iterable<string>,
  right: Iterable<string>,
  remedies: readonly [onlyLeft: string, onlyRight: string],
): string[] {
  const [lefts, rights] = [[...new Set(left)], [...new Set(right)]];
  return [
    ...lefts.filter((name) => !rights.includes(name)).map((name) => `${name}: ${remedies[0]}`),
    ...rights.filter((name) => !lefts.includes(name)).map((name) => `${name}: ${remedies[1]}`),
  ];
}

function stems(files: readonly SourceFile[], folder: RegExp): string[] {
  return files.flatMap(({ path }) => {
    const stem = folder.exec(path)?.[1];
    return stem === undefined || stem.includes('.test') ? [] : [stem];
  });
}

function textOf(files: readonly SourceFile[], path: string): string {
  return withoutComments(files.find((file) => file.path === path)?.text ?? '');
}

const lexicon = z.object({ id: z.string(), defs: z.object({ main: z.object({ type: z.string() }).optional() }) });
const methodTypes = new Set(['query', 'procedure', 'subscription']);

/** Files of `src/xrpc/mls` that hold no endpoint. */
const besideEndpoints = new Set(['endpoints', 'errors', 'views']);

function methodsInLexicons(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => /^lexicons\/.*[.]json$/.test(path))
    .map(({ text }) => lexicon.parse(JSON.parse(text)))
    .filter(({ defs }) => methodTypes.has(defs.main?.type ?? ''))
    .map(({ id }) => id.replace('blue.catbird.mls.', ''));
}

function endpointProblems(files: readonly SourceFile[]): string[] {
  const handlers = stems(files, /^src\/xrpc\/mls\/([^/]+)[.]ts$/).filter(
    (stem) => !besideEndpoints.has(stem) && !stem.includes('-'),
  );
  const listed = [...textOf(files, 'src/xrpc/mls/endpoints.ts').matchAll(/from '[.]\/(\w+)[.]ts'/g)].map(
    ([, name]) => name ?? '',
  );
  return [
    ...differences(methodsInLexicons(files), handlers, [
      'has a lexicon but no src/xrpc/mls/<method>.ts; write the endpoint',
      'has no lexicon; add lexicons/blue/catbird/mls/<method>.json and run npm run codegen',
    ]),
    ...differences(
      handlers,
      listed.filter((name) => !besideEndpoints.has(name)),
      [
        'is not served; add its line to src/xrpc/mls/endpoints.ts',
        'is listed in src/xrpc/mls/endpoints.ts but has no file',
      ],
    ),
  ];
}

describe('every method has a lexicon, a file and a line in endpoints.ts', () => {
  test('in the project', () => {
    const files = readTree();
    expect(endpointProblems(files)).toEqual([]);
    expect(methodsInLexicons(files).length, 'methods of the contract').toBeGreaterThanOrEqual(20);
  });

  test('a lexicon lies where its id says', () => {
    const misplaced = readTree()
      .filter(({ path }) => /^lexicons\/.*[.]json$/.test(path))
      .filter(({ path, text }) => path.slice(9, -5).replaceAll('/', '.') !== lexicon.parse(JSON.parse(text)).id);
    expect(misplaced.map(({ path }) => path)).toEqual([]);
  });

  test('what is missing is reported', () => {
    const planted: SourceFile[] = [
      {
        path: 'lexicons/blue/catbird/mls/getA.json',
        text: '{"id":"blue.catbird.mls.getA","defs":{"main":{"type":"query"}}}',
      },
      {
        path: 'lexicons/blue/catbird/mls/getB.json',
        text: '{"id":"blue.catbird.mls.getB","defs":{"main":{"type":"query"}}}',
      },
      { path: 'lexicons/blue/catbird/mls/defs.json', text: '{"id":"blue.catbird.mls.defs","defs":{}}' },
      { path: 'src/xrpc/mls/getA.ts', text: '' },
      { path: 'src/xrpc/mls/getC.ts', text: '' },
      {
        path: 'src/xrpc/mls/endpoints.ts',
        text: "import { getA } from './getA.ts';\nimport { getD } from './getD.ts';",
      },
    ];
    expect(endpointProblems(planted).map((problem) => problem.split(':')[0])).toEqual(['getB', 'getC', 'getC', 'getD']);
  });
});

function quotaProblems(files: readonly SourceFile[]): string[] {
  const isLimit = /\bRATE_LIMIT_[A-Z_]+\b/g;
  const used = [...textOf(files, 'src/quota/table/quotas.ts').matchAll(isLimit)].map(([name]) => name);
  return differences(
    used,
    Object.keys(settings).filter((name) => name.startsWith('RATE_LIMIT_')),
    ['is no setting; add it to src/platform/config/settings.ts', 'is used by no row of src/quota/table/quotas.ts'],
  );
}

describe('every quota has its setting, and every RATE_LIMIT setting its row', () => {
  test('in the project', () => {
    expect(quotaProblems(readTree())).toEqual([]);
  });

  test('a row without a setting is reported', () => {
    const text = `${Object.keys(settings).join(' ')} RATE_LIMIT_NOBODY`;
    expect(quotaProblems([{ path: 'src/quota/table/quotas.ts', text }])).toEqual([
      expect.stringMatching(/^RATE_LIMIT_NOBODY: /),
    ]);
  });
});

function unnamedQuotas(quotaNames: readonly string[], files: readonly SourceFile[]): string[] {
  const endpoints = files
    .filter(({ path }) => path.startsWith('src/xrpc/mls/'))
    .map(({ text }) => withoutComments(text));
  return quotaNames
    .filter((name) => !endpoints.some((text) => text.includes(`quota: '${name}'`)))
    .map((name) => `${name}: no endpoint names this quota; name it in src/xrpc/mls/<method>.ts or remove its row`);
}

describe('every quota of a caller is charged by an endpoint', () => {
  test('in the project', () => {
    // What counts something else than requests is charged where its amount is known.
    const ofCallers = Object.entries<Quota>(quotas).filter(
      ([, { scope, unit }]) => scope === 'caller' && unit === undefined,
    );
    expect(
      unnamedQuotas(
        ofCallers.map(([name]) => name),
        readTree(),
      ),
    ).toEqual([]);
  });

  test('a quota that nobody is charged is reported', () => {
    const files = [{ path: 'src/xrpc/mls/getA.ts', text: "quota: 'used'" }];
    expect(unnamedQuotas(['used', 'idle'], files)).toEqual([expect.stringMatching(/^idle: /)]);
  });
});

function jobProblems(jobNames: readonly string[], files: readonly SourceFile[]): string[] {
  const workers = stems(files, /^workers\/([^/]+)[.]ts$/).filter((stem) => stem !== 'main' && stem !== 'start-worker');
  return differences(jobNames, workers, [
    'has no worker; write workers/<job>.ts',
    'is no job; add its row to src/jobs/catalogue.ts',
  ]);
}

describe('every job has its worker, and every worker its job', () => {
  test('in the project', () => {
    expect(jobProblems(Object.keys(jobs), readTree())).toEqual([]);
  });

  test('a job without a worker and a worker without a job are reported', () => {
    const files = [
      { path: 'workers/main.ts', text: '' },
      { path: 'workers/orphan.ts', text: '' },
    ];
    expect(jobProblems(['forgotten'], files).map((problem) => problem.split(':')[0])).toEqual(['forgotten', 'orphan']);
  });
});

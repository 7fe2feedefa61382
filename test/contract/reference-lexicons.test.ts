import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../conventions/source-tree.ts';
import { knownDifferences } from './known-differences.ts';
import { lexiconDifferences } from './lexicon-difference.ts';
import type { Json } from './lexicon-difference.ts';

/** The lexicons that public clients use. They may not be published here, so only some machines have them. */
const referenceFolder = join(projectRoot, '../shared/reference/lexicons/mls');
const ourFolder = join(projectRoot, 'lexicons/blue/catbird/mls');
const namespace = 'blue.catbird.mls';

function methodsIn(folder: string): string[] {
  return readdirSync(folder).map((file) => file.replace(`${namespace}.`, '').replace(/[.]json$/, ''));
}

function definitionsIn(path: string): Json {
  const { defs }: { defs: Json } = JSON.parse(readFileSync(path, 'utf8'));
  return defs;
}

/** Returns differences without a reason and reasons without a difference; `*` in a reason's key matches any method or definition. */
function problemsOf(differences: readonly string[], reasons: Readonly<Record<string, string>>): string[] {
  const patterns = Object.keys(reasons).map((key) => ({ key, fits: patternOf(key) }));
  return [
    ...differences
      .filter((difference) => !patterns.some(({ fits }) => fits.test(difference)))
      .map((difference) => `${difference}: follow the reference, or give the reason in known-differences.ts`),
    ...patterns
      .filter(({ fits }) => !differences.some((difference) => fits.test(difference)))
      .map(({ key }) => `${key}: there is no such difference; remove it from known-differences.ts`),
  ];
}

function patternOf(key: string): RegExp {
  return new RegExp(`^${key.replaceAll(/[.+?^$()[\]]/g, '\\$&').replaceAll('*', '[\\w.]+')}$`);
}

test.skipIf(!existsSync(referenceFolder))(
  'every difference from the reference lexicons has a reason (skipped where they are not beside the project)',
  () => {
    const methods = methodsIn(referenceFolder);
    expect(methods).toHaveLength(66);
    const differences = methods.flatMap((method) => {
      const ours = join(ourFolder, `${method}.json`);
      if (!existsSync(ours)) return [`- ${method}`];
      return lexiconDifferences(
        method,
        definitionsIn(join(referenceFolder, `${namespace}.${method}.json`)),
        definitionsIn(ours),
      );
    });
    const added = methodsIn(ourFolder).filter((method) => !methods.includes(method));
    expect(problemsOf([...differences, ...added.map((method) => `+ ${method}`)], knownDifferences)).toEqual([]);
  },
);

test('different methods, fields, types, limits, requirements, errors and values are reported, and descriptions are not', () => {
  const theirs = {
    main: {
      type: 'query',
      description: 'Theirs.',
      required: ['did', 'gone'],
      properties: { did: { type: 'string', maxLength: 8 }, description: { type: 'string' }, gone: { type: 'bytes' } },
      errors: [{ name: 'NotFound', description: 'x' }, { name: 'NotMember' }],
    },
  };
  const ours = {
    main: {
      type: 'procedure',
      description: 'Ours.',
      required: ['did'],
      properties: { did: { type: 'string', maxLength: 4 }, description: { type: 'integer' }, more: { type: 'string' } },
      errors: [{ name: 'NotMember' }, { name: 'NotAdmin' }],
    },
  };
  expect(lexiconDifferences('getA', theirs, ours).toSorted()).toEqual([
    '+ getA.main.errors.NotAdmin',
    '+ getA.main.properties.more',
    '- getA.main.errors.NotFound',
    '- getA.main.properties.gone',
    '- getA.main.required.gone',
    'getA.main.properties.description.type: "string" → "integer"',
    'getA.main.properties.did.maxLength: 8 → 4',
    'getA.main.type: "query" → "procedure"',
  ]);
  expect(lexiconDifferences('getA', theirs, structuredClone(theirs))).toEqual([]);
});

test('a difference without a reason and a reason without a difference are reported', () => {
  const reasons = { '+ *.main.errors.NotAdmin': 'clearer', '- getB': 'stale' };
  expect(problemsOf(['+ getA.main.errors.NotAdmin', '- getA.main.errors.NotFound'], reasons)).toEqual([
    expect.stringMatching(/^- getA\.main\.errors\.NotFound: follow/),
    expect.stringMatching(/^- getB: there is no such/),
  ]);
});

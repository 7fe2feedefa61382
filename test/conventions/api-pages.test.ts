import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const lexicon = z.object({
  id: z.string(),
  defs: z.looseObject({
    main: z.object({ type: z.string(), errors: z.array(z.object({ name: z.string() })).default([]) }).optional(),
  }),
});
const methodTypes = new Set(['query', 'procedure', 'subscription']);
/** Headings of the examples, with the language of the code below each. */
const examples = [
  ['In TypeScript', 'ts'],
  ['With curl', 'sh'],
] as const;

/** What a client developer misses: a page, an example, an error with what to do about it, or an operation. */
function missingParts(files: readonly SourceFile[]): string[] {
  const textOf = (path: string): string | undefined => files.find((file) => file.path === path)?.text;
  const openApi = z
    .object({ paths: z.record(z.string(), z.unknown()) })
    .parse(JSON.parse(textOf('docs/openapi.json') ?? '{"paths":{}}'));
  return files
    .filter(({ path }) => /^lexicons\/.*[.]json$/.test(path))
    .map(({ text }) => lexicon.parse(JSON.parse(text)))
    .flatMap(({ id, defs: { main } }) => {
      const name = id.replace('blue.catbird.mls.', '');
      const page = textOf(`docs/api/${name}.md`);
      if (page === undefined) return [`${name}: no page`];
      if (main === undefined || !methodTypes.has(main.type)) return [];
      return [
        ...examples
          .filter(([heading, language]) => !hasCode(page, heading, language))
          .map(([heading]) => `${name}: no example ${heading}`),
        ...main.errors
          .filter((error) => !hasAction(page, error.name))
          .map((error) => `${name}: no action for ${error.name}`),
        ...(`/xrpc/${id}` in openApi.paths ? [] : [`${name}: no operation in docs/openapi.json`]),
      ];
    });
}

function hasCode(page: string, heading: string, language: string): boolean {
  const [, section = ''] = page.split(`\n### ${heading}\n`);
  return new RegExp(`^\`\`\`${language}\\n.+`, 'm').test(section.split(/^#/m)[0] ?? '');
}

/** Whether the table of errors has a row for the error with a status, a reason and an action. */
function hasAction(page: string, name: string): boolean {
  const [, errors = ''] = page.split('\n## Errors\n');
  return new RegExp(`^\\| \`${name}\` \\| [^|]+ \\| [^|]+ \\| [A-Z](?:[^|]|\\\\\\|)+[.] \\|$`, 'm').test(errors);
}

describe('every lexicon has a page; every method has two examples, actions for its errors, and an operation', () => {
  test('in the project', () => {
    expect(missingParts(readTree())).toEqual([]);
  });

  test('every error of the overview has an action', () => {
    const overview = readTree().find(({ path }) => path === 'docs/api/README.md')?.text ?? '';
    const [, errors = ''] = overview.split('\n## Errors of every method\n');
    const rows = errors.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.filter((row) => !/^\| `\w+` \| \d{3} \| [^|]+ \| [A-Z][^|]+[.] \|$/.test(row))).toEqual([]);
  });

  test('what is missing is reported', () => {
    const lexiconOf = (name: string): SourceFile => ({
      path: `lexicons/blue/catbird/mls/${name}.json`,
      text: JSON.stringify({
        id: `blue.catbird.mls.${name}`,
        defs: { main: { type: 'query', errors: [{ name: 'Gone' }, { name: 'Full' }] } },
      }),
    });
    const page = (rows: string, code: string): string =>
      `# Page\n\n## Errors\n\n${rows}\n\n### In TypeScript\n\n${code}\n\n### With curl\n\n\`\`\`json\n{}\n\`\`\`\n`;
    const planted: SourceFile[] = [
      lexiconOf('getA'),
      lexiconOf('getB'),
      {
        path: 'docs/api/getB.md',
        text: page('| `Gone` | 404 | It is gone. |  |\n| `Full` | 409 | It is full. | Wait. |', '```ts\nfirst();\n```'),
      },
    ];
    expect(missingParts(planted)).toEqual([
      'getA: no page',
      'getB: no example With curl',
      'getB: no action for Gone',
      'getB: no operation in docs/openapi.json',
    ]);
  });
});

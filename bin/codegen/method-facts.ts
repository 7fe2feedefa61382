import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { settings } from '#platform/config/settings.ts';
import { quotas, windowSecondsOf } from '#quota/table/quotas.ts';
import type { Quota } from '#quota/table/quotas.ts';
import { callers } from './callers.ts';
import { declaredError } from './error-facts.ts';
import type { ErrorFacts } from './error-facts.ts';
import { exampleList } from './example-code.ts';
import type { RecordedExample } from './example-code.ts';
import { readFolder } from './lexicon-modules.ts';

const schema = z.looseObject({ type: z.string() });
const body = z.object({ encoding: z.string().optional(), schema: schema.optional() });
const main = z.object({
  type: z.enum(['query', 'procedure', 'subscription']),
  description: z.string(),
  parameters: schema.optional(),
  input: body.optional(),
  output: body.optional(),
  message: body.optional(),
  errors: z.array(z.object({ name: z.string(), description: z.string() })).default([]),
});
const definition = z.looseObject({ type: z.string(), description: z.string().optional() });
const lexicon = z.object({ id: z.string(), defs: z.record(z.string(), definition) });

export const namespace = 'blue.catbird.mls.';

type Definition = z.infer<typeof definition>;
export type MethodBody = z.infer<typeof body>;

/** What the documentation says about a method. */
export interface MethodFacts extends Omit<z.infer<typeof main>, 'errors'> {
  /** Whom the method serves, in words. */
  readonly caller: string;
  readonly quota: string;
  readonly errors: readonly ErrorFacts[];
  readonly example: RecordedExample;
}

/** A lexicon, with the facts about its method if it has one. */
export interface LexiconFacts {
  readonly id: string;
  /** The id without the namespace. */
  readonly name: string;
  readonly method: MethodFacts | undefined;
  /** The definitions other than the method. */
  readonly definitions: readonly (readonly [name: string, definition: Definition])[];
}

/**
 * Returns every lexicon by name, in alphabetical order.
 * @throws Error when a method has no caller, no example, or an error without an action.
 */
export async function readLexicons(projectRoot: string): Promise<LexiconFacts[]> {
  const files = await readFolder(join(projectRoot, 'lexicons/blue/catbird/mls'));
  const examples = exampleList.parse(
    JSON.parse(await readFile(join(projectRoot, 'test/contract/examples.json'), 'utf8')),
  );
  const sorted = [...files].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Promise.all(
    sorted.map(async ([file, text]) => {
      const { id, defs } = lexicon.parse(JSON.parse(text));
      const name = file.replace('.json', '');
      const method = defs['main'] === undefined ? undefined : main.parse(defs['main']);
      return {
        id,
        name,
        method:
          method === undefined ? undefined : await factsOf(projectRoot, name, { method, example: examples[name] }),
        definitions: Object.entries(defs).filter(([key]) => key !== 'main'),
      };
    }),
  );
}

async function factsOf(
  projectRoot: string,
  name: string,
  { method, example }: { method: z.infer<typeof main>; example: RecordedExample | undefined },
): Promise<MethodFacts> {
  const caller = callers[name];
  if (caller === undefined) throw new Error(`bin/codegen/callers.ts does not say who may call ${name}`);
  if (example === undefined) throw new Error(`test/contract/examples.json has no example of ${name}`);
  return {
    ...method,
    caller,
    quota: quotaText(await quotaOf(projectRoot, name)),
    errors: method.errors.map((error) => declaredError(name, error)),
    example,
  };
}

/** Returns the quota that the endpoint names, or the default quota when it names none. */
async function quotaOf(projectRoot: string, name: string): Promise<Quota> {
  const source = await readFile(join(projectRoot, `src/xrpc/mls/${name}.ts`), 'utf8').catch(() => '');
  const row = /quota: '(\w+)'/.exec(source)?.[1] ?? 'callerDefault';
  const rows: Readonly<Record<string, Quota>> = quotas;
  return rows[row] ?? quotas.callerDefault;
}

function quotaText(quota: Quota): string {
  const { fallback } = settings[quota.setting];
  const protects = quota.protects.charAt(0).toLowerCase() + quota.protects.slice(1);
  return `${fallback} in ${windowSecondsOf(quota)} seconds for an account (\`${quota.setting}\`). Protects: ${protects}`;
}

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { projectRoot } from '../conventions/source-tree.ts';

const lexicon = z.object({
  defs: z.object({ main: z.object({ errors: z.array(z.object({ name: z.string() })).default([]) }).optional() }),
});

/** Returns `method.Name` for every error that a method's lexicon declares. */
export function declaredErrors(): string[] {
  const folder = join(projectRoot, 'lexicons/blue/catbird/mls');
  return readdirSync(folder).flatMap((file) => {
    const { main } = lexicon.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))).defs;
    return (main?.errors ?? []).map(({ name }) => `${file.replace('.json', '')}.${name}`);
  });
}

/** Whether the list has `pair` (`method.Name`), or its name for all methods. */
export function isNeverSent(pair: string, neverSent: Readonly<Record<string, string>>): boolean {
  return pair in neverSent || pair.slice(pair.indexOf('.') + 1) in neverSent;
}

/** Returns the problems of a whole run whose tests have produced the pairs in `seen`. */
export function refusalProblems(
  declared: readonly string[],
  seen: ReadonlySet<string>,
  neverSent: Readonly<Record<string, string>>,
): string[] {
  return declared.flatMap((pair) => {
    if (isNeverSent(pair, neverSent)) {
      return seen.has(pair) ? [`${pair}: is sent, though never-sent.ts says it is not`] : [];
    }
    return seen.has(pair) ? [] : [`${pair}: no test has seen it; write one, or give the reason in never-sent.ts`];
  });
}

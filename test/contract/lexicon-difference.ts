export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Where a list may be left out, it is an empty one. */
const emptyLists: JsonObject = { errors: [], required: [] };

/**
 * Every difference of two lexicons but their descriptions, one line each: `- path` is in `theirs` only, `+ path` in `ours` only,
 * `path: a → b` has another value. Lists are sets: of names (errors), or of words (required, known values, references).
 */
export function lexiconDifferences(path: string, theirs: Json, ours: Json): string[] {
  const [left, right] = [asObject(theirs), asObject(ours)];
  if (left === undefined || right === undefined) {
    return theirs === ours ? [] : [`${path}: ${JSON.stringify(theirs)} → ${JSON.stringify(ours)}`];
  }
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) => {
    const [other, mine] = [left[key] ?? emptyLists[key], right[key] ?? emptyLists[key]];
    if (isDescription(key, mine) || isDescription(key, other)) return [];
    if (mine === undefined) return [`- ${path}.${key}`];
    if (other === undefined) return [`+ ${path}.${key}`];
    return lexiconDifferences(`${path}.${key}`, other, mine);
  });
}

/** A property may be called "description", and is then no text. */
function isDescription(key: string, value: Json | undefined): boolean {
  return key === 'description' && typeof value === 'string';
}

function asObject(value: Json): JsonObject | undefined {
  if (isList(value)) return Object.fromEntries(value.map((item) => [nameOf(item), true]));
  return typeof value === 'object' && value !== null ? value : undefined;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function nameOf(item: Json): string {
  const name = typeof item === 'object' && item !== null && 'name' in item ? item['name'] : item;
  return typeof name === 'string' ? name : JSON.stringify(item);
}

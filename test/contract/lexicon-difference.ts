export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Lists that may be omitted; an omitted list equals an empty one. */
const emptyLists: JsonObject = { errors: [], required: [] };

/**
 * Returns every difference between two lexicons except descriptions, one line each: `- path` is only in `theirs`, `+ path` only in
 * `ours`, and `path: a → b` has another value. Lists are compared as sets.
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

/** Whether a key is a description. A property may also have the name "description", but then its value is an object. */
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

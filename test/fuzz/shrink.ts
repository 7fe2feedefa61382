import type { Json, JsonObject } from './lexicon-schema.ts';

const triesMax = 200;

/** Returns the smallest input found for which `stillFails` is true, by removing parts and shortening texts. */
export async function shrink(input: Json, stillFails: (smaller: Json) => Promise<boolean>): Promise<Json> {
  let smallest = input;
  let tries = 0;
  for (let isShrinking = true; isShrinking;) {
    isShrinking = false;
    for (const smaller of smallerThan(smallest)) {
      if (tries++ >= triesMax) return smallest;
      if (!(await stillFails(smaller))) continue;
      smallest = smaller;
      isShrinking = true;
      break;
    }
  }
  return smallest;
}

function* smallerThan(value: Json): Generator<Json> {
  if (typeof value === 'string') {
    if (value.length > 8) yield value.slice(0, Math.ceil(value.length / 2));
    return;
  }
  if (Array.isArray(value)) {
    const items = value as readonly Json[];
    if (items.length > 3) yield items.slice(0, Math.ceil(items.length / 2));
    for (const [index] of items.entries()) yield items.toSpliced(index, 1);
    for (const [index, item] of items.entries()) {
      for (const smaller of smallerThan(item)) yield items.with(index, smaller);
    }
    return;
  }
  if (typeof value === 'object' && value !== null) yield* smallerObjects(value as JsonObject);
}

function* smallerObjects(value: JsonObject): Generator<Json> {
  const entries = Object.entries(value);
  for (const [index] of entries.entries()) yield Object.fromEntries(entries.toSpliced(index, 1));
  for (const [index, [name, item]] of entries.entries()) {
    for (const smaller of smallerThan(item)) yield Object.fromEntries(entries.with(index, [name, smaller]));
  }
}

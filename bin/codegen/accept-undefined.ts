/**
 * Lets optional fields of generated lexicon types be `undefined`: the generator's validators accept it, its types do not,
 * and under `exactOptionalPropertyTypes` the two do not fit each other.
 */
export function acceptUndefined(source: string): string {
  return source
    .replace(/^( +"?\w+"?\?:)(?=\s)/gm, '$1 undefined |')
    .replace(/ undefined \|\n\s+\|/g, '\n    | undefined\n    |');
}

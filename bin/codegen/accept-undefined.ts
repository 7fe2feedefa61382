/**
 * Allows `undefined` in optional fields of generated lexicon types: the generator's validators accept it but its types
 * do not, which conflicts with `exactOptionalPropertyTypes`.
 */
export function acceptUndefined(source: string): string {
  return source
    .replace(/^( +"?\w+"?\?:)(?=\s)/gm, '$1 undefined |')
    .replace(/ undefined \|\n\s+\|/g, '\n    | undefined\n    |');
}

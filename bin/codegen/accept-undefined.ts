/**
 * Allows `undefined` in optional fields of generated lexicon types. The generator's validators accept `undefined`, but
 * its types do not under `exactOptionalPropertyTypes`.
 */
export function acceptUndefined(source: string): string {
  return source
    .replace(/^( +"?\w+"?\?:)(?=\s)/gm, '$1 undefined |')
    .replace(/ undefined \|\n\s+\|/g, '\n    | undefined\n    |');
}

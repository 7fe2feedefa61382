const end = '<!-- … to here. -->';

/** The generated part of a page that is otherwise written by hand. */
export interface GeneratedPart {
  readonly path: string;
  /** The source of the generated part, as the marker names it. */
  readonly source: string;
}

/**
 * Returns the page with the part between its markers replaced by `text`.
 * @throws Error when a marker is missing or repeated.
 */
export function replaceGeneratedPart(current: string, { path, source }: GeneratedPart, text: string): string {
  const begin = `<!-- Written by \`npm run codegen\` from ${source}; do not edit from here … -->`;
  const [head, rest, ...more] = current.split(`${begin}\n`);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined || more.length > 0) throw new Error(`${path} lacks a marker`);
  return `${head}${begin}\n\n${text}\n\n${end}${tail}`;
}

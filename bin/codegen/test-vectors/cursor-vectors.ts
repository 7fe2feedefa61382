import { accepted, made, refusedWith } from './vector-file.ts';
import type { VectorFile, Verdict } from './vector-file.ts';

/** How a client might change the cursor that it has received. */
export type CursorChange =
  | 'none'
  | 'one letter'
  | 'without its last letter'
  | 'with a letter behind it'
  | 'in lower case'
  | 'the first half'
  | 'of another service'
  | 'a number'
  | 'empty';

export interface CursorVector {
  readonly name: string;
  readonly change: CursorChange;
  /** The response to `updateCursor` with the changed cursor. */
  readonly updateCursor: Verdict;
  /** The `code` of the first event of a stream that is opened with it. */
  readonly stream: 'streamOpened' | 'cursorUnknown';
}

/** `cursors.json`. */
export interface CursorVectorFile extends VectorFile<CursorVector> {
  /** Cursors of a service that does not exist any more. */
  readonly examples: readonly { readonly event: string; readonly cursors: readonly string[] }[];
}

function modified(name: string, change: CursorChange): CursorVector {
  return { name, change, updateCursor: refusedWith('InvalidCursor'), stream: 'cursorUnknown' };
}

/** `cursors.json`. */
export function cursorVectors(): CursorVectorFile {
  return {
    about:
      'Cursors are opaque: a client stores the text and gives back the same text. They are encrypted, so two requests get different cursors for one event, and no change of one is accepted.',
    examples: [
      { event: 'a message', cursors: [made.cursor, made.cursorAgain] },
      { event: 'the message after it', cursors: [made.laterCursor] },
    ],
    vectors: [
      { name: 'the same text', change: 'none', updateCursor: accepted, stream: 'streamOpened' },
      modified('one letter is different', 'one letter'),
      modified('the last letter is missing', 'without its last letter'),
      modified('one letter more', 'with a letter behind it'),
      modified('all in lower case', 'in lower case'),
      modified('the first half', 'the first half'),
      modified('an example of this file', 'of another service'),
      modified('a number', 'a number'),
      // An empty parameter counts as none.
      { ...modified('an empty text', 'empty'), stream: 'streamOpened' },
    ],
  };
}

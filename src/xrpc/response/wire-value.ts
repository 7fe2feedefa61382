/**
 * The type that a handler may return where the lexicon has `T`. Formats, for example DIDs and datetimes, are plain
 * strings, and optional fields may be `undefined`. `output-check.ts` checks outputs against their lexicons.
 */
export type WireValue<T> = T extends string
  ? LooseString<T>
  : T extends number | boolean | null | undefined
    ? T
    : T extends Uint8Array
      ? Uint8Array
      : T extends readonly (infer Item)[]
        ? readonly WireValue<Item>[]
        : T extends object
          ? { readonly [Field in keyof T]: WireValue<T[Field]> }
          : T;

/**
 * Turns patterns, for example `did:${string}:${string}`, into `string`, and leaves closed lists of strings unchanged.
 */
type LooseString<T extends string> = Record<never, never> extends Record<T, true> ? string : T;

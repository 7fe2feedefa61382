import { decodeBase64 } from '#platform/base64.ts';

/** What a body may hold before it is parsed. */
export interface JsonBounds {
  /** Objects and arrays inside each other. */
  readonly depthMax: number;
  /** Values in all, counted by the brackets and commas around them. */
  readonly valuesMax: number;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const opening: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closing: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Parses a request body. `{"$bytes": base64}` becomes a Buffer, whichever alphabet and padding it uses; one that cannot be
 * decoded stays an object, so that the lexicon check can name its field.
 * @returns undefined when `body` is not strict UTF-8, not JSON, exceeds `bounds`, or holds a NUL, half a surrogate pair or a
 * key that could reach a prototype.
 */
export function parseJson(body: Buffer, bounds: JsonBounds): { readonly value: unknown } | undefined {
  if (exceeds(body, bounds)) return undefined;
  try {
    return { value: admit(JSON.parse(strictUtf8.decode(body)), body.includes('\\u')) };
  } catch {
    return undefined;
  }
}

/** A linear look at the brackets outside of strings: deep input must not reach the recursive parser. */
function exceeds(body: Buffer, bounds: JsonBounds): boolean {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] ?? 0;
    if (byte === quote) {
      at = endOfString(body, at);
    } else if (opening.has(byte)) {
      depth++;
      values++;
    } else if (closing.has(byte)) {
      depth--;
    } else if (byte === comma) {
      values++;
    }
    if (depth > bounds.depthMax || values > bounds.valuesMax) return true;
  }
  return false;
}

function endOfString(body: Buffer, start: number): number {
  let end = body.indexOf(quote, start + 1);
  while (end !== -1 && isEscaped(body, end)) end = body.indexOf(quote, end + 1);
  return end === -1 ? body.length : end;
}

function isEscaped(body: Buffer, at: number): boolean {
  let backslashes = 0;
  while (body[at - 1 - backslashes] === backslash) backslashes++;
  return backslashes % 2 === 1;
}

/** Checks and converts what `JSON.parse` has made; only text with escapes can hold what Postgres text cannot. */
function admit(value: unknown, hasEscapes: boolean): unknown {
  if (typeof value === 'string') {
    if (hasEscapes && (value.includes('\0') || !value.isWellFormed()))
      throw new SyntaxError('text that cannot be stored');
    return value;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((item) => admit(item, hasEscapes));
  }
  return admitObject(value, hasEscapes);
}

function admitObject(value: object, hasEscapes: boolean): unknown {
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === '$bytes' && typeof first[1] === 'string')
    return decodeBase64(first[1]) ?? value;
  const admitted: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    if (forbiddenKeys.has(key)) throw new SyntaxError('key that reaches a prototype');
    admitted[key] = admit(item, hasEscapes);
  }
  return admitted;
}

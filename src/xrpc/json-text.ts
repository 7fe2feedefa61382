import { decodeBase64 } from '#platform/base64.ts';

/** What a body may hold before it is parsed. */
export interface JsonBounds {
  /** Objects and arrays inside each other. */
  readonly depthMax: number;
  /** Values in all, counted by the brackets and commas around them. */
  readonly valuesMax: number;
  readonly keyLengthMax: number;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const opening: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closing: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Parses a request body. `{"$bytes": base64}` becomes a Buffer, whichever alphabet and padding it uses; one that cannot be
 * decoded stays an object, so that the lexicon check can name its field.
 * @returns undefined when `body` is not strict UTF-8, not JSON, exceeds `bounds`, or holds a NUL, half a surrogate pair, a
 * number that JavaScript would change, a key twice, or a key that could reach a prototype.
 */
export function parseJson(body: Buffer, bounds: JsonBounds): { readonly value: unknown } | undefined {
  const memberCount = countMembers(body, bounds);
  if (memberCount === undefined) return undefined;
  const rules = { hasEscapes: body.includes('\\u'), keyLengthMax: bounds.keyLengthMax, memberCount: 0 };
  try {
    const value = admit(JSON.parse(strictUtf8.decode(body)), rules);
    // The parser keeps the last of two members with one key, so that fewer are left than were written.
    return rules.memberCount === memberCount ? { value } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A linear look at what is outside of strings: deep input must not reach the recursive parser.
 * @returns how many members all objects have together; undefined when the body exceeds `bounds`.
 */
function countMembers(body: Buffer, bounds: JsonBounds): number | undefined {
  let depth = 0;
  let values = 1;
  let members = 0;
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
    } else if (byte === colon) {
      members++;
    }
    if (depth > bounds.depthMax || values > bounds.valuesMax) return undefined;
  }
  return members;
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

/** What is asked of values, and how many members were seen on the way. */
interface Rules {
  /** Only text with escapes can hold what Postgres text cannot. */
  readonly hasEscapes: boolean;
  readonly keyLengthMax: number;
  memberCount: number;
}

/** Checks and converts what `JSON.parse` has made. */
function admit(value: unknown, rules: Rules): unknown {
  if (typeof value === 'string') return admitText(value, rules);
  if (typeof value === 'number') return admitNumber(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => admit(item, rules));
  return admitObject(value, rules);
}

function admitText(text: string, { hasEscapes }: Rules): string {
  if (hasEscapes && (text.includes('\0') || !text.isWellFormed())) throw new SyntaxError('text that cannot be stored');
  return text;
}

function admitNumber(value: number): number {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new SyntaxError('number that was rounded');
  return value;
}

function admitObject(value: object, rules: Rules): unknown {
  const entries = Object.entries(value);
  rules.memberCount += entries.length;
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === '$bytes' && typeof first[1] === 'string')
    return decodeBase64(first[1]) ?? value;
  const admitted: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    if (forbiddenKeys.has(key)) throw new SyntaxError('key that reaches a prototype');
    if (key.length > rules.keyLengthMax) throw new SyntaxError('key longer than any of ours');
    admitted[admitText(key, rules)] = admit(item, rules);
  }
  return admitted;
}

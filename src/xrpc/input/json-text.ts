import { decodeBase64 } from '#platform/base64.ts';

/** Limits of a JSON body, most of which are checked before the body is parsed. */
export interface JsonBounds {
  /** Levels of nested objects and arrays. */
  readonly depthMax: number;
  /** Number of values in the whole body, counted by brackets and commas. */
  readonly valuesMax: number;
  readonly keyLengthMax: number;
}

/** Reasons to refuse a body, with the text that the caller gets. */
export const jsonProblems = {
  notUtf8: 'The body is not UTF-8. Encode it in UTF-8.',
  notJson: 'The body is not JSON (RFC 8259). Send one JSON object, without a byte order mark.',
  tooDeep: 'The body has more than 32 levels of objects and arrays. Send fewer.',
  tooManyValues: 'The body has more than 20000 values. Send fewer at once.',
  nul: 'A text in the body contains the character U+0000. Leave it out.',
  halfSurrogate: 'A text in the body contains half of a surrogate pair. Send whole characters.',
  largeNumber: 'A number in the body is beyond 2^53. Send numbers that JavaScript keeps exactly.',
  repeatedKey: 'An object in the body has a key twice. Send each key once.',
  reservedKey: 'An object in the body has the key __proto__, constructor or prototype. Leave it out.',
  longKey: 'An object in the body has a key of more than 256 characters. Leave it out.',
} as const;

export type JsonProblem = keyof typeof jsonProblems;

class RefusedJson extends Error {
  readonly problem: JsonProblem;

  constructor(problem: JsonProblem) {
    super(problem);
    this.problem = problem;
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const opening: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closing: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Parses a request body. `{"$bytes": base64}` in any alphabet and padding becomes a Buffer. If the text is not base64,
 * the object stays as it is, so that the check of the lexicon can name its field.
 * @returns a problem when `body` is not strict UTF-8, not JSON, exceeds `bounds`, or holds NUL, half a surrogate pair,
 * a number that JavaScript would round, a repeated key, or a key that could reach a prototype.
 */
export function parseJson(
  body: Buffer,
  bounds: JsonBounds,
): { readonly value: unknown } | { readonly problem: JsonProblem } {
  try {
    const memberCount = countMembers(body, bounds);
    const rules = { hasEscapes: body.includes('\\u'), keyLengthMax: bounds.keyLengthMax, memberCount: 0 };
    const value = convert(parseText(decode(body)), rules);
    // `JSON.parse` keeps only the last of two members with one key, so a lower number of members shows a repeated key.
    return rules.memberCount === memberCount ? { value } : { problem: 'repeatedKey' };
  } catch (error) {
    if (error instanceof RefusedJson) return { problem: error.problem };
    throw error;
  }
}

function decode(body: Buffer): string {
  try {
    return strictUtf8.decode(body);
  } catch {
    throw new RefusedJson('notUtf8');
  }
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RefusedJson('notJson');
  }
}

/**
 * Counts the object members and checks `bounds` in linear time, because deep input must not reach the recursive parser.
 * @returns the number of members of all objects together.
 * @throws RefusedJson when the body exceeds `bounds`.
 */
function countMembers(body: Buffer, bounds: JsonBounds): number {
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
    if (depth > bounds.depthMax) throw new RefusedJson('tooDeep');
    if (values > bounds.valuesMax) throw new RefusedJson('tooManyValues');
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

/** The rules for parsed values, and the number of object members that `convert` has counted. */
interface Rules {
  /** True if the body has `\u` escapes, because only they can produce text that Postgres cannot store. */
  readonly hasEscapes: boolean;
  readonly keyLengthMax: number;
  memberCount: number;
}

/** Checks a value of `JSON.parse` and converts its `$bytes` objects. */
function convert(value: unknown, rules: Rules): unknown {
  if (typeof value === 'string') return convertText(value, rules);
  if (typeof value === 'number') return convertNumber(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => convert(item, rules));
  return convertObject(value, rules);
}

function convertText(text: string, { hasEscapes }: Rules): string {
  if (!hasEscapes) return text;
  if (text.includes('\0')) throw new RefusedJson('nul');
  if (!text.isWellFormed()) throw new RefusedJson('halfSurrogate');
  return text;
}

function convertNumber(value: number): number {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new RefusedJson('largeNumber');
  return value;
}

function convertObject(value: object, rules: Rules): unknown {
  const entries = Object.entries(value);
  rules.memberCount += entries.length;
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === '$bytes' && typeof first[1] === 'string')
    return decodeBase64(first[1]) ?? value;
  const converted: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    if (forbiddenKeys.has(key)) throw new RefusedJson('reservedKey');
    if (key.length > rules.keyLengthMax) throw new RefusedJson('longKey');
    converted[convertText(key, rules)] = convert(item, rules);
  }
  return converted;
}

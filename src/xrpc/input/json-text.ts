import { isAscii } from 'node:buffer';
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
    // One character for each byte, because V8 reads the characters of a string faster than the bytes of a Buffer.
    const byteText = body.toString('latin1');
    const memberCount = countMembers(byteText, bounds);
    const rules = { hasEscapes: byteText.includes('\\u'), keyLengthMax: bounds.keyLengthMax, memberCount: 0 };
    const value = convert(parseText(isAscii(body) ? byteText : decode(body)), rules);
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
function countMembers(byteText: string, bounds: JsonBounds): number {
  let depth = 0;
  let values = 1;
  let members = 0;
  for (let at = 0; at < byteText.length; at++) {
    switch (byteText.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(byteText, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        values++;
        if (++depth > bounds.depthMax) throw new RefusedJson('tooDeep');
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
      case 0x2c: // ,
        values++;
        break;
      case 0x3a: // :
        members++;
        break;
      default:
        continue;
    }
    if (values > bounds.valuesMax) throw new RefusedJson('tooManyValues');
  }
  return members;
}

function endOfString(byteText: string, start: number): number {
  let end = byteText.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(byteText, end)) end = byteText.indexOf('"', end + 1);
  return end === -1 ? byteText.length : end;
}

function isEscaped(byteText: string, at: number): boolean {
  let backslashes = 0;
  while (byteText.charAt(at - 1 - backslashes) === '\\') backslashes++;
  return backslashes % 2 === 1;
}

/** The rules for parsed values, and the number of object members that `convert` has counted. */
interface Rules {
  /** True if the body has `\u` escapes, because only they can produce text that Postgres cannot store. */
  readonly hasEscapes: boolean;
  readonly keyLengthMax: number;
  memberCount: number;
}

/** Checks a value of `JSON.parse`, and converts its `$bytes` objects in place. */
function convert(value: unknown, rules: Rules): unknown {
  if (typeof value === 'string') return checkText(value, rules);
  if (typeof value === 'number') return checkNumber(value);
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value)) return convertObject(value as Record<string, unknown>, rules);
  for (let at = 0; at < value.length; at++) value[at] = convert(value[at], rules);
  return value;
}

function checkText(text: string, { hasEscapes }: Rules): string {
  if (!hasEscapes) return text;
  if (text.includes('\0')) throw new RefusedJson('nul');
  if (!text.isWellFormed()) throw new RefusedJson('halfSurrogate');
  return text;
}

function checkNumber(value: number): number {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new RefusedJson('largeNumber');
  return value;
}

function convertObject(value: Record<string, unknown>, rules: Rules): unknown {
  const keys = Object.keys(value);
  rules.memberCount += keys.length;
  const bytes = keys.length === 1 ? value['$bytes'] : undefined;
  if (typeof bytes === 'string') return decodeBase64(bytes) ?? value;
  for (const key of keys) {
    if (forbiddenKeys.has(key)) throw new RefusedJson('reservedKey');
    if (key.length > rules.keyLengthMax) throw new RefusedJson('longKey');
    checkText(key, rules);
    value[key] = convert(value[key], rules);
  }
  return value;
}

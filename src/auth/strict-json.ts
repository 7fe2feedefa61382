import { isUtf8 } from 'node:buffer';

const prototypeKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const [quote, backslash, colon] = [0x22, 0x5c, 0x3a];

/**
 * Parses a JSON object for which all parsers give the same value, or returns undefined. The bytes must be UTF-8 without
 * a byte order mark. Each key must be unique in its object and have no special meaning in JavaScript.
 */
export function parseStrictJsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  // `JSON.parse` keeps only the last of two members with one key, so a lower number of keys shows a repeated key.
  return countPlainKeys(value) === countMembers(text) ? (value as Record<string, unknown>) : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Counts the members of all objects in valid JSON, which are the colons outside of strings. */
function countMembers(json: string): number {
  let members = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === colon) members += 1;
    else if (code === quote) at = endOfString(json, at);
  }
  return members;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  for (let code = json.charCodeAt(at); code !== quote; code = json.charCodeAt(at)) at += code === backslash ? 2 : 1;
  return at;
}

/** Counts the keys of all objects in `value`, or returns NaN if one of them is a key of the prototype. */
function countPlainKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countPlainKeys(item), 0);
  let count = 0;
  for (const key of Object.keys(value)) {
    if (prototypeKeys.has(key)) return Number.NaN;
    count += 1 + countPlainKeys((value as Readonly<Record<string, unknown>>)[key]);
  }
  return count;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs;
const prototypeKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Parses a JSON object for which all parsers give the same value, or returns undefined. The bytes must be UTF-8 without
 * a byte order mark. Each key must be unique in its object and have no special meaning in JavaScript.
 */
export function parseStrictJsonObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value) || hasAmbiguousKey(text)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/**
 * Returns whether `text` contains a repeated key or a key of the prototype. `text` must be valid JSON, in which every
 * string before a colon is a key.
 */
function hasAmbiguousKey(text: string): boolean {
  const keysOfOpenObjects: Set<string>[] = [];
  let lastString = '';
  for (const [token] of text.matchAll(tokens)) {
    if (token === '{') keysOfOpenObjects.push(new Set());
    else if (token === '}') keysOfOpenObjects.pop();
    else if (token === ':') {
      const key: unknown = JSON.parse(lastString);
      const keys = keysOfOpenObjects.at(-1);
      if (typeof key !== 'string' || keys === undefined || keys.has(key) || prototypeKeys.has(key)) return true;
      keys.add(key);
    } else if (token.startsWith('"')) lastString = token;
  }
  return false;
}

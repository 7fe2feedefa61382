const aTime = '2026-03-01T12:00:00.000Z';
const laterTime = '2026-03-15T12:00:00.000Z';
const opaqueFields = new Set(['cursor', 'ticket']);
const changingFields: Readonly<Record<string, string>> = { oldestExpiresIn: '29d 23h' };

const time = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
const uuid = /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g;
const idSuffix = /[.][\w-]{22}$/;
const longHex = /^(?:[\da-f]{32}|[\da-f]{64})$/;
const longBase64 = /^(?!MLS_)[A-Za-z0-9+/_-]{40,}={0,2}$/;

const placeholder =
  /^<\w+>$|^00000000-0000-4000-8000-\d{12}|^(\d\d)\1{15}(?:\1{16})?$|^0{8}40008000\d{16}$|[.]<key>$|^2026-03-(?:01|15)T12:00:00|did:plc:[a-z]+2+\b/;

/** Returns whether a text of a recorded call stands for a value that differs between runs. */
export function isPlaceholder(text: string): boolean {
  return placeholder.test(text);
}

/** Returns the DID that is recorded in place of that of the person `name`. */
export function didOf(name: string): string {
  return `did:plc:${name.padEnd(24, '2')}`;
}

/** Returns the name of the person whose recorded DID `did` is, or undefined if it is none. */
export function personOf(did: string): string | undefined {
  return /^did:plc:([a-z]+)2+$/.exec(did)?.[1];
}

/**
 * Returns a function that replaces times, ids, keys and ciphertexts with fixed values, so that two runs give the same text. Equal ids
 * get equal values.
 */
export function createPlaceholders(names: ReadonlyMap<string, string>): (value: unknown) => unknown {
  const numbers = new Map<string, number>();
  const withoutDashes = new Map<string, string>();
  const numberOf = (id: string): number => {
    const number = numbers.get(id) ?? numbers.size + 1;
    numbers.set(id, number);
    return number;
  };
  const hexOf = (id: string): string =>
    String(numberOf(id))
      .padStart(2, '0')
      .repeat(id.length / 2);
  const uuidOf = (id: string): string => {
    const shown = `00000000-0000-4000-8000-${String(numberOf(id)).padStart(12, '0')}`;
    // The id of a chat request is also the id of its conversation, where it has no dashes.
    withoutDashes.set(id.replaceAll('-', ''), shown.replaceAll('-', ''));
    return shown;
  };

  function textFor(field: string, text: string): string {
    if (changingFields[field] !== undefined) return changingFields[field];
    if (opaqueFields.has(field)) return `<${field}>`;
    if (time.test(text)) return field.startsWith('expires') ? laterTime : aTime;
    const named = [...names].reduce((shown, [value, name]) => shown.replaceAll(value, name), text);
    if (longHex.test(named)) return withoutDashes.get(named) ?? hexOf(named);
    return longBase64.test(named) ? '<base64>' : named.replaceAll(uuid, uuidOf).replace(idSuffix, '.<key>');
  }
  function replaceVarying(field: string, value: unknown): unknown {
    if (typeof value === 'string') return textFor(field, value);
    if (Array.isArray(value))
      return inOrder(
        field,
        value.map((item) => replaceVarying(field, item)),
      );
    if (typeof value !== 'object' || value === null) return value;
    if ('$bytes' in value) return { $bytes: '<base64>' };
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceVarying(key, item)]));
  }
  return (value) => replaceVarying('', value);
}

/** Sorts lists whose order depends on random keys, such as members that were added together. */
function inOrder(field: string, items: unknown[]): unknown[] {
  return field === 'members'
    ? items.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1))
    : items;
}

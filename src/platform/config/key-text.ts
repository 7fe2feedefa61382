/** A decoded key of the key ring. */
export interface KeyEntry {
  /** From 1 to 255. */
  readonly id: number;
  /** 32 bytes. */
  readonly secret: Buffer;
}

const keySizeBytes = 32;
/** 32 random bytes have 30 different values on average, and fewer than 16 with a probability below 10^-15. */
const distinctBytesMin = 16;

/**
 * Parses entries of the form `<id>:<base64 of 32 bytes>`, which are separated by commas or white space.
 * @returns the keys, or a problem with its remedy in a text that contains no part of a key.
 */
export function readKeyText(text: string): readonly KeyEntry[] | string {
  const entries: KeyEntry[] = [];
  for (const part of text.split(/[\s,]+/).filter((each) => each !== '')) {
    const entry = readEntry(part);
    if (typeof entry === 'string') return entry;
    if (entries.some(({ id }) => id === entry.id)) return 'two keys have the same id; every id may occur once';
    entries.push(entry);
  }
  return entries.length === 0 ? 'is empty; it needs at least one "<id>:<base64 of 32 bytes>"' : entries;
}

const remedy = 'make one with: npm run admin -- key new';

function readEntry(part: string): KeyEntry | string {
  const [, idText = '', keyText = ''] = /^(\d{1,3}):([A-Za-z0-9+/_-]+=*)$/.exec(part) ?? [];
  const id = Number(idText);
  const secret = Buffer.from(keyText, 'base64');
  if (id < 1 || id > 255 || secret.length !== keySizeBytes)
    return `a key must be "<id>:<base64 of 32 bytes>" with an id from 1 to 255; ${remedy}`;
  return isNotRandom(secret) ? `a key is not random; ${remedy}` : { id, secret };
}

/**
 * Returns whether the key is a repetition, a counting sequence or typed text, none of which a random generator
 * produces.
 */
function isNotRandom(secret: Buffer): boolean {
  if (new Set(secret).size < distinctBytesMin) return true;
  const steps = new Set(secret.subarray(1).map((byte, index) => byte - (secret[index] ?? 0)));
  if (steps.size <= 2) return true;
  return secret.every((byte) => byte >= 0x20 && byte < 0x7f);
}

import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { Sql } from '#storage/connection/database.ts';

/** A name that was found, with its form and location. */
export interface Leak {
  readonly name: string;
  /** For example `base64+1` (base64 after one other byte) or `hex(sha256)`. */
  readonly form: string;
  readonly where: string;
}

/** Finds names in bytes, also if they are encoded or hashed without a key. */
export interface LeakScanner {
  scan(where: string, bytes: Uint8Array): Leak[];
}

interface Needle {
  readonly name: string;
  readonly form: string;
  readonly bytes: Buffer;
}

const digests = ['md5', 'sha1', 'sha256'] as const;
/** Truncated hashes of at least this length are found too. */
const hashSizeBytesMin = 12;

/**
 * Creates a scanner that finds each of `names` unchanged, in upper and lower case, as UTF-16, hex, base64 and base64url (at all three
 * alignments), and as unkeyed MD5, SHA-1 and SHA-256 in raw, hex and base64 form; a DID also without its `did:method:`. Each form is
 * also found in hex, the text form of bytea.
 */
export function createLeakScanner(names: readonly string[]): LeakScanner {
  const needles = names.flatMap(needlesOf);
  return {
    scan(where, bytes) {
      const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return needles
        .filter((needle) => haystack.includes(needle.bytes))
        .map(({ name, form }) => ({ name, form, where }));
    },
  };
}

/** Returns every form of one name, by the form name in a `Leak`. */
export function formsOf(name: string): ReadonlyMap<string, Buffer> {
  const forms = new Map<string, Buffer>([
    ['raw', Buffer.from(name)],
    ['upper', Buffer.from(name.toUpperCase())],
    ['lower', Buffer.from(name.toLowerCase())],
    ['utf16', Buffer.from(name, 'utf16le')],
    ...encodings(Buffer.from(name), ''),
  ]);
  for (const digest of digests) {
    const hash = createHash(digest).update(name).digest().subarray(0, hashSizeBytesMin);
    forms.set(digest, hash);
    for (const [form, bytes] of encodings(hash, digest)) forms.set(form, bytes);
  }
  return forms;
}

function needlesOf(name: string): Needle[] {
  const [, identifier] = /^did:[a-z]+:(.{8,})$/.exec(name) ?? [];
  return [name, ...(identifier === undefined ? [] : [identifier])].flatMap((text) =>
    [...formsOf(text)].flatMap(([form, bytes]) => [
      { name, form, bytes },
      { name, form: `hex of ${form}`, bytes: Buffer.from(bytes.toString('hex')) },
    ]),
  );
}

function encodings(bytes: Buffer, of: string): [string, Buffer][] {
  const label = (form: string): string => (of === '' ? form : `${form}(${of})`);
  const hex = bytes.toString('hex');
  return [
    [label('hex'), Buffer.from(hex)],
    [label('hex-upper'), Buffer.from(hex.toUpperCase())],
    ...[0, 1, 2].flatMap((shift): [string, Buffer][] => [
      [label(`base64+${shift}`), base64Core(bytes, shift, 'base64')],
      [label(`base64url+${shift}`), base64Core(bytes, shift, 'base64url')],
    ]),
  ];
}

/** Returns the base64 digits that depend only on `bytes` when `shift` other bytes precede them. */
function base64Core(bytes: Buffer, shift: number, encoding: 'base64' | 'base64url'): Buffer {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString(encoding);
  const first = Math.ceil((shift * 8) / 6);
  const end = Math.floor(((shift + bytes.length) * 8) / 6);
  return Buffer.from(text.slice(first, end));
}

/** Dumps every table of the database and each partition with COPY, in both formats. */
export async function dumpTables(sql: Sql): Promise<ReadonlyMap<string, Buffer>> {
  const tables = await sql<{ name: string }[]>`
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`;
  const dump = new Map<string, Buffer>();
  for (const { name } of tables) {
    for (const format of ['text', 'binary'] as const) {
      const copied = sql.unsafe(`COPY ${name} TO STDOUT (FORMAT ${format})`);
      dump.set(`${name} (${format})`, await buffer(await copied.readable()));
    }
  }
  return dump;
}

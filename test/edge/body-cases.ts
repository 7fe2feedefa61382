import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { HttpCase } from './http-case.ts';
import { goodBody, post } from './http-text.ts';

type Row = readonly [name: string, body: string | Buffer, status: number, error: string, headers?: readonly string[]];

const invalid = [400, 'InvalidRequest'] as const;
const wrongType = [415, 'UnsupportedMediaType'] as const;
const besides = (field: string): string => `{"title":"a",${field}}`;

const rows: readonly Row[] = [
  ['a million levels', '['.repeat(1_000_000), ...invalid],
  ['a megabyte of {"a":', '{"a":'.repeat(200_000), ...invalid],
  ['33 levels', besides(`"x":${'['.repeat(32)}${']'.repeat(32)}`), ...invalid],
  ['a million items', besides(`"x":[${'0,'.repeat(900_000)}0]`), ...invalid],
  ['20,000 keys', besides(Array.from({ length: 20_000 }, (_, at) => `"k${at}":0`).join(',')), ...invalid],
  ['a key of 100,000 characters', besides(`"${'k'.repeat(100_000)}":0`), ...invalid],
  ['a number beyond numbers', besides('"x":1e999'), ...invalid],
  ['a negative one', besides('"x":-1e999'), ...invalid],
  ['an integer that would be rounded', besides('"x":9007199254740993'), ...invalid],
  ['a number of a million digits', besides(`"x":${'9'.repeat(1_000_000)}`), ...invalid],
  ['NaN', besides('"x":NaN'), ...invalid],
  ['a leading zero', besides('"x":01'), ...invalid],
  ['a key twice', '{"title":"a","title":"b"}', ...invalid],
  ['a key twice, once escaped', '{"title":"a","\\u0074itle":"b"}', ...invalid],
  ['a key twice in a nested object', besides('"x":[{"a":1,"a":2}]'), ...invalid],
  ['bytes that are not UTF-8', Buffer.from([...Buffer.from('{"title":"'), 0xff, 0x22, 0x7d]), ...invalid],
  ['an overlong slash', Buffer.from([...Buffer.from('{"title":"'), 0xc0, 0xaf, 0x22, 0x7d]), ...invalid],
  ['half a surrogate pair', '{"title":"\\ud800"}', ...invalid],
  ['half a surrogate pair in a key', besides('"\\udfff":1'), ...invalid],
  ['a NUL', '{"title":"\\u0000"}', ...invalid],
  ['a NUL in a key', besides('"\\u0000":1'), ...invalid],
  ['a byte order mark', `\ufeff${goodBody}`, ...invalid],
  ['UTF-16', Buffer.from(goodBody, 'utf16le'), ...invalid],
  ['__proto__', besides('"__proto__":{"polluted":true}'), ...invalid],
  ['__proto__, escaped', besides('"\\u005f_proto__":{"polluted":true}'), ...invalid],
  ['__proto__ in a nested object', besides('"x":[{"y":{"__proto__":{"polluted":true}}}]'), ...invalid],
  ['__proto__ beside $bytes', besides('"body":{"$bytes":"AAAA","__proto__":{"polluted":true}}'), ...invalid],
  ['constructor', besides('"constructor":{"prototype":{"polluted":true}}'), ...invalid],
  ['prototype in a nested object', besides('"x":[{"prototype":{"polluted":true}}]'), ...invalid],
  ['an array', '[]', ...invalid],
  ['nothing', '', ...invalid],
  ['two values', `${goodBody}${goodBody}`, ...invalid],
  ['a comment', '{"title":"a"/**/}', ...invalid],
  ['a comma at the end', '{"title":"a",}', ...invalid],
  ['a form', 'title=a', ...wrongType, ['Content-Type: application/x-www-form-urlencoded']],
  ['several parts', goodBody, ...wrongType, ['Content-Type: multipart/form-data; boundary=a']],
  ['plain text', goodBody, ...wrongType, ['Content-Type: text/plain']],
  ['no type', goodBody, ...wrongType, ['Content-Type:']],
  ['another charset', goodBody, ...wrongType, ['Content-Type: application/json; charset=utf-7']],
  ['two charsets', goodBody, ...wrongType, ['Content-Type: application/json; charset=utf-8; charset=utf-16']],
  ['two types in one', goodBody, ...wrongType, ['Content-Type: application/json, text/plain']],
  ['a type like JSON', goodBody, ...wrongType, ['Content-Type: application/jsonp']],
  ['gzip', gzipSync(goodBody), ...wrongType, ['Content-Encoding: gzip']],
  ['100 MiB in brotli', brotliCompressSync(Buffer.alloc(104_857_600)), ...wrongType, ['Content-Encoding: br']],
  ['zstd', zstdCompressSync(goodBody), ...wrongType, ['Content-Encoding: zstd']],
  ['deflate by another name', goodBody, ...wrongType, ['Content-Encoding: x-deflate']],
  ['two encodings', gzipSync(goodBody), ...wrongType, ['Content-Encoding: identity, gzip']],
];

/** Bodies that are not one plain JSON object; the length and the token of each request are valid. */
export const bodyCases: readonly HttpCase[] = rows.map(([name, body, status, error, headers = []]) => ({
  name,
  group: 'bodies',
  steps: [post(body, ...headers)],
  expected: { status, error },
}));

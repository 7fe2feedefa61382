import { bodyCases } from './body-cases.ts';
import type { HttpCase, Step } from './http-case.ts';
import { authorization, describePath, frame, get, goodBody, goodChunks, head, host, jsonType } from './http-text.ts';
import { post, postAs, storePath, upgradeTo, watchPath } from './http-text.ts';

type Row = readonly [name: string, steps: readonly Step[], status: number, error?: string];

function cases(group: string, rows: readonly Row[], more: Pick<HttpCase, 'proxy' | 'isSlow'> = {}): HttpCase[] {
  return rows.map(([name, steps, status, error]) => {
    const expected = error === undefined ? { status } : { status, error };
    return { name, group, steps, expected, ...more };
  });
}

const invalid = [400, 'InvalidRequest'] as const;
const tooLarge = [431, 'HeadersTooLarge'] as const;
const second = get();
const chunked = 'Transfer-Encoding: chunked';
const short = 'Content-Length: 13';

const framing = cases('framing', [
  ['length and chunks', [postAs([short, chunked], goodChunks)], ...invalid],
  ['chunks and length', [postAs([chunked, short], goodChunks)], ...invalid],
  ['two lengths', [postAs([short, 'Content-Length: 12'], goodBody)], ...invalid],
  ['two equal lengths', [postAs([short, short], goodBody)], ...invalid],
  ['a list of lengths', [postAs(['Content-Length: 13, 13'], goodBody)], ...invalid],
  ['a signed length', [postAs(['Content-Length: +13'], goodBody)], ...invalid],
  ['a negative length', [postAs(['Content-Length: -1'], goodBody)], ...invalid],
  ['a hexadecimal length', [postAs(['Content-Length: 0xd'], goodBody)], ...invalid],
  ['a length beyond numbers', [postAs(['Content-Length: 99999999999999999999999'], goodBody)], ...invalid],
  ['a space before the colon', [postAs(['Content-Length : 13'], goodBody)], ...invalid],
  ['identity and chunked', [postAs(['Transfer-Encoding: identity, chunked'], goodChunks)], ...invalid],
  ['gzip and chunked', [postAs(['Transfer-Encoding: gzip, chunked'], goodChunks)], ...invalid],
  ['chunked twice in one line', [postAs(['Transfer-Encoding: chunked, chunked'], goodChunks)], ...invalid],
  ['chunked twice', [postAs([chunked, chunked], goodChunks)], ...invalid],
  ['chunked with a parameter', [postAs(['Transfer-Encoding: chunked;q=1'], goodChunks)], ...invalid],
  ['another coding last', [postAs(['Transfer-Encoding: chunked, gzip'], goodChunks)], ...invalid],
  ['a coding with a tab in front', [postAs(['Transfer-Encoding: \x0bchunked'], goodChunks)], ...invalid],
  ['only identity', [postAs(['Transfer-Encoding: identity'], goodBody)], ...invalid],
  [
    'chunks in HTTP/1.0',
    [head(`POST ${storePath} HTTP/1.0`, host, authorization, jsonType, chunked) + goodChunks],
    ...invalid,
  ],
  ['a folded header', [postAs([short, 'X-Folded: a\r\n b'], goodBody)], ...invalid],
  ['a header without a colon', [postAs([short, 'X-Nothing'], goodBody)], ...invalid],
  ['a header without a name', [postAs([short, ': value'], goodBody)], ...invalid],
  ['a NUL in a header', [postAs([short, 'X-Nul: a\0b'], goodBody)], ...invalid],
  ['a bare CR in a header', [postAs([short, 'X-Cr: a\rb'], goodBody)], ...invalid],
  ['a line end of LF alone', [postAs([short, 'X-Lf: a\nX-More: b'], goodBody)], ...invalid],
]);

const chunks = cases('chunks', [
  ['a size that is no number', [postAs([chunked], 'zz\r\n{}\r\n0\r\n\r\n')], ...invalid],
  ['a size beyond numbers', [postAs([chunked], 'fffffffffffffffff\r\n{}')], ...invalid],
  ['a negative size', [postAs([chunked], '-1\r\n{}')], ...invalid],
  ['a size with 0x', [postAs([chunked], `0xd\r\n${goodBody}\r\n0\r\n\r\n`)], ...invalid],
  ['a chunk longer than its size', [postAs([chunked], `5\r\n${goodBody}\r\n0\r\n\r\n`)], ...invalid],
  ['a chunk line ended by LF', [postAs([chunked], `d\n${goodBody}\r\n0\r\n\r\n`)], ...invalid],
  [
    'a flood of extensions',
    [postAs([chunked], `d;${'a'.repeat(40_000)}\r\n${goodBody}\r\n0\r\n\r\n`)],
    413,
    'PayloadTooLarge',
  ],
  [
    'trailers beyond the headers',
    [postAs([chunked], `d\r\n${goodBody}\r\n0\r\nX-T: ${'a'.repeat(60_000)}\r\n\r\n`)],
    ...tooLarge,
  ],
]);

/** The first request is refused and the connection closes, so the second must not run. */
const pipelined = cases('pipelined', [
  ['after two lengths', [postAs([short, short], goodBody) + second], ...invalid],
  ['after length and chunks', [postAs(['Content-Length: 4', chunked], `0\r\n\r\n${second}`)], ...invalid],
  ['after two hosts', [get(describePath, 'Host: other.test') + second], ...invalid],
  ['after a GET with a body', [get(describePath, `Content-Length: ${second.length}`) + second], ...invalid],
  ['after an absolute target', [get(`http://nightjar.test${describePath}`) + second], ...invalid],
  [
    'after 65 headers',
    [get(describePath, ...Array.from({ length: 63 }, (_, at) => `X-${at}: a`)) + second],
    ...tooLarge,
  ],
  [
    'after a body that is too large',
    [postAs(['Content-Length: 3000000'], ''), ' '.repeat(3_000_000), second],
    413,
    'PayloadTooLarge',
  ],
  ['after a last response', [get(describePath, 'Connection: close').replace(authorization, 'X-None: 1') + second], 401],
  ['of an upgrade', [`${get().replace(authorization, 'X-None: 1')}${upgradeTo()}`], 401],
]);

const targets = cases('targets', [
  ['absolute form', [get(`http://nightjar.test${describePath}`)], ...invalid],
  ['absolute form of another host', [get('http://169.254.169.254/latest')], ...invalid],
  ['CONNECT', [head('CONNECT nightjar.test:443 HTTP/1.1', host)], 405, 'MethodNotAllowed'],
  ['an asterisk', [head('OPTIONS * HTTP/1.1', host)], ...invalid],
  ['no slash', [get('xrpc/com.example.describe')], ...invalid],
  ['two slashes in front', [get('//xrpc/com.example.describe')], 404, 'NotFound'],
  ['two slashes within', [get('/xrpc//com.example.describe')], 404, 'NotFound'],
  ['a percent sign', [get('/xrpc/com.example.d%65scribe')], 404, 'NotFound'],
  ['an escaped slash', [get('/xrpc%2fcom.example.describe')], 404, 'NotFound'],
  ['dots upward', [get('/livez/../xrpc/com.example.describe')], 404, 'NotFound'],
  ['escaped dots upward', [get('/livez/%2e%2e/xrpc/com.example.describe')], 404, 'NotFound'],
  ['a dot', [get('/xrpc/./com.example.describe')], 404, 'NotFound'],
  ['a semicolon', [get('/xrpc/com.example.describe;a=b')], 404, 'NotFound'],
  ['a backslash', [get('/xrpc\\com.example.describe')], 404, 'NotFound'],
  ['a NUL', [get('/xrpc/com.example.describe%00')], 404, 'NotFound'],
  ['capitals', [get('/XRPC/com.example.describe')], 404, 'NotFound'],
  ['capitals in the method', [get('/xrpc/com.example.DESCRIBE')], 501, 'MethodNotImplemented'],
  ['a fragment', [get(`${describePath}#a`)], ...invalid],
  ['a slash at the end', [get(`${describePath}/`)], 501, 'MethodNotImplemented'],
  ['17 KiB', [get(`${describePath}?a=${'a'.repeat(17_000)}`)], 414, 'UriTooLong'],
  ['64 KiB', [get(`${describePath}?a=${'a'.repeat(64_000)}`)], ...tooLarge],
  ['17 KiB to nowhere', [get(`/nothing?a=${'a'.repeat(17_000)}`)], 414, 'UriTooLong'],
  ['an unknown path', [get('/admin')], 404, 'NotFound'],
  ['no HTTP at all', ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'], ...invalid],
  ['the preface of HTTP/2', ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], ...invalid],
  ['HTTP/0.9', ['GET /livez\r\n\r\n'], ...invalid],
  ['HTTP/3.0', [head('GET /livez HTTP/3.0', host)], ...invalid],
]).map((httpCase): HttpCase => ({ ...httpCase, proxy: 'rewritten' }));

const many = (count: number, size: number): string[] =>
  Array.from({ length: count }, (_, at) => `X-${at}: ${'a'.repeat(size)}`);

const headers = [
  ...cases('headers', [
    ['65', [get(describePath, ...many(63, 1))], ...tooLarge],
    ['3,000', [get(describePath, ...many(3_000, 1))], ...tooLarge],
    ['9 KiB', [get(describePath, ...many(9, 1_000))], ...tooLarge],
    ['64 KiB', [get(describePath, ...many(16, 4_000))], ...tooLarge],
    ['a value of 5,000 bytes', [get(describePath, `X-Long: ${'a'.repeat(5_000)}`)], ...tooLarge],
    [
      'a token of 5,000 bytes',
      [head(`GET ${describePath} HTTP/1.1`, host, `Authorization: Bearer ${'a'.repeat(5_000)}`)],
      ...tooLarge,
    ],
    ['a name of 300 bytes', [get(describePath, `${'X'.repeat(300)}: a`)], ...tooLarge],
    ['two hosts', [get(describePath, 'Host: other.test')], ...invalid],
    ['two hosts before a large body', [post(' '.repeat(3_000_000), 'Host: other.test')], ...invalid],
    ['no host', [head(`GET ${describePath} HTTP/1.1`, authorization)], ...invalid],
    ['an empty host', [head(`GET ${describePath} HTTP/1.1`, 'Host:', authorization)], ...invalid],
    ['a host with a path', [head(`GET ${describePath} HTTP/1.1`, 'Host: a/b', authorization)], ...invalid],
    ['a host with a user', [head(`GET ${describePath} HTTP/1.1`, 'Host: a@b', authorization)], ...invalid],
    ['two authorizations', [get(describePath, 'Authorization: Bearer mallory')], ...invalid],
    ['two content types', [post(goodBody, jsonType, 'Content-Type: text/plain')], ...invalid],
    ['an impossible expectation', [post(goodBody, 'Expect: 200-ok')], 417, 'ExpectationFailed'],
  ]),
  ...cases(
    'headers',
    [
      [
        'two forwarded headers',
        [get(describePath, 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 5.6.7.8')],
        ...invalid,
      ],
    ],
    {
      proxy: 'rewritten',
    },
  ),
];

const verbs = cases('verbs', [
  ['TRACE', [head(`TRACE ${describePath} HTTP/1.1`, host, authorization)], 405, 'MethodNotAllowed'],
  ['TRACE of nothing', [head('TRACE /nothing HTTP/1.1', host)], 405, 'MethodNotAllowed'],
  ['an unknown verb', [head(`STEAL ${describePath} HTTP/1.1`, host, authorization)], ...invalid],
  ['PROPFIND', [head(`PROPFIND ${describePath} HTTP/1.1`, host, authorization)], 405, 'MethodNotAllowed'],
  ['HEAD of a query', [head(`HEAD ${describePath} HTTP/1.1`, host, authorization)], 405],
  ['DELETE', [head(`DELETE ${storePath} HTTP/1.1`, host, authorization)], 405, 'MethodNotAllowed'],
  ['OPTIONS from nowhere', [head(`OPTIONS ${storePath} HTTP/1.1`, host)], 405, 'MethodNotAllowed'],
  ['GET of a procedure', [get(storePath)], 405, 'MethodNotAllowed'],
  ['POST to a query', [post(goodBody).toString().replace(storePath, describePath)], 405, 'MethodNotAllowed'],
  [
    'an override by header',
    [get(storePath, 'X-HTTP-Method-Override: POST', 'X-Method-Override: POST')],
    405,
    'MethodNotAllowed',
  ],
  ['an override by query', [get(`${storePath}?_method=POST`)], 405, 'MethodNotAllowed'],
  ['a GET with a body', [get(describePath, 'Content-Length: 2') + '{}'], ...invalid],
  ['a GET with chunks', [get(describePath, chunked) + goodChunks], ...invalid],
]);

const upgradeOfOtherOrigin = upgradeTo(undefined, 'Origin: https://evil.test');
const upgrades = cases('upgrades', [
  ['to another path', [upgradeTo(describePath)], 401],
  ['to another protocol', [upgradeTo().replace('Upgrade: websocket', 'Upgrade: h2c')], 426, 'UpgradeRequired'],
  ['by POST', [upgradeTo().replace('GET', 'POST')], 405, 'MethodNotAllowed'],
  ['with a body', [`${upgradeTo(undefined, 'Content-Length: 2')}{}`], ...invalid],
  ['from another origin', [upgradeOfOtherOrigin], 403, 'OriginNotAllowed'],
  ['from the origin null', [upgradeTo(undefined, 'Origin: null')], 403, 'OriginNotAllowed'],
  ['without a ticket', [upgradeTo(watchPath)], 401, 'BadTicket'],
  ['with two keys', [upgradeTo(undefined, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')], ...invalid],
  ['with an old version', [upgradeTo().replace('Version: 13', 'Version: 8')], 426, 'UpgradeRequired'],
  ['with an invalid key', [upgradeTo().replace('ZQ==', 'ZQ=')], 426, 'UpgradeRequired'],
]);

/** The WebSocket opens, and the frame after it closes it without an echo. */
const sockets = cases(
  'sockets',
  [
    ['an oversized frame', [upgradeTo(), { waitMs: 100 }, frame(2, Buffer.alloc(70_000))], 101],
    [
      'a frame that announces 2 GiB',
      [upgradeTo(), { waitMs: 100 }, frame(2, Buffer.alloc(70_000)).subarray(0, 14)],
      101,
    ],
    ['an unmasked frame', [upgradeTo(), { waitMs: 100 }, frame(2, Buffer.from('a'), { isMasked: false })], 101],
    ['a compressed frame', [upgradeTo(), { waitMs: 100 }, frame(2, Buffer.from('a'), { reserved: 0x40 })], 101],
    ['an unknown opcode', [upgradeTo(), { waitMs: 100 }, frame(3, Buffer.from('a'))], 101],
    ['a fragmented ping', [upgradeTo(), { waitMs: 100 }, frame(9, Buffer.from('a'), { isFinal: false })], 101],
    ['a continuation of nothing', [upgradeTo(), { waitMs: 100 }, frame(0, Buffer.from('a'))], 101],
    [
      'fragments beyond the limit',
      [upgradeTo(), { waitMs: 100 }, frame(2, Buffer.alloc(3_000), { isFinal: false }), frame(0, Buffer.alloc(3_000))],
      101,
    ],
    ['text that is not UTF-8', [upgradeTo(), { waitMs: 100 }, frame(1, Buffer.from([0xff, 0xfe]))], 101],
  ],
  { proxy: 'skip' },
).map((httpCase): HttpCase => ({ ...httpCase, expected: { status: 101, closes: true } }));

const slow = cases(
  'slow',
  [
    ['nothing at all', [{ waitMs: 2_500 }], 408, 'RequestTimeout'],
    ['a header byte by byte', [{ send: get().slice(0, 40), everyMs: 60 }], 408, 'RequestTimeout'],
    [
      'a body byte by byte',
      [postAs(['Content-Length: 200000'], ''), { send: '{"title":"aaaaaaaaaaaaaaaaa', everyMs: 60 }],
      408,
      'RequestTimeout',
    ],
    ['a body that stops', [postAs(['Content-Length: 2000'], '{"title":')], 408, 'RequestTimeout'],
    ['chunks that stop', [postAs([chunked], 'd\r\n{"tit')], 408, 'RequestTimeout'],
  ],
  { proxy: 'skip', isSlow: true },
);

/** Valid requests. */
const good = cases('good', [
  ['a query', [get()], 200],
  ['a procedure', [post(goodBody)], 200],
  ['a procedure in chunks', [postAs([chunked], goodChunks)], 200],
  ['chunks with an extension', [postAs([chunked], `d;a=b\r\n${goodBody}\r\n0\r\n\r\n`)], 200],
  ['a body that waits for 100 Continue', [postAs([short, 'Expect: 100-continue'], ''), { waitMs: 100 }, goodBody], 200],
  ['64 headers', [get(describePath, ...many(62, 1))], 200],
  ['a socket', [upgradeTo()], 101],
]);

/** Every attack on the HTTP server, and some valid requests. */
export const httpCorpus: readonly HttpCase[] = [
  ...framing,
  ...chunks,
  ...pipelined,
  ...targets,
  ...headers,
  ...verbs,
  ...bodyCases,
  ...upgrades,
  ...sockets,
  ...slow,
  ...good,
];

import type { IncomingMessage } from 'node:http';
import { limits } from '#platform/limits.ts';
import type { EdgeErrorCode } from './edge-error.ts';

export interface InspectOptions {
  /** The name, in lower case, of the header in which a proxy sends the client address. */
  readonly forwardedHeader: string;
  /** Returns whether pages of this origin may open streams. */
  readonly isAllowedOrigin: (origin: string) => boolean;
}

/**
 * The head of a request with every header as it was sent, because Node joins some repeated headers and drops the rest.
 */
interface Sent {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly httpVersion: string;
  /** The values of each header in the order of the request, by lower-case name. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly headerCount: number;
  readonly headersSizeBytes: number;
  readonly longestNameLength: number;
  readonly options: InspectOptions;
}

/**
 * Headers that may occur only once, because a proxy and this server could each use a different one of two values
 * (request smuggling).
 */
const singletons = [
  'host',
  'content-length',
  'transfer-encoding',
  'content-type',
  'content-encoding',
  'authorization',
  'expect',
  'origin',
  'upgrade',
  'last-event-id',
  'sec-websocket-key',
  'sec-websocket-version',
] as const;
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE']);
const withoutBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const hostForm = /^(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;
/**
 * Paths without escapes, empty segments and dot segments, because a proxy and this server could resolve those to
 * different paths.
 */
const pathForm = /^(?:\/(?![.]{1,2}(?:\/|$))[A-Za-z0-9._~-]+)*\/?$/;
const tokenPrefixLength = 'Bearer '.length;
const lineOverheadSizeBytes = ': \r\n'.length;

const rules: readonly (readonly [EdgeErrorCode, (sent: Sent) => boolean])[] = [
  ['HeadersTooLarge', ({ headerCount }) => headerCount > limits.headersMax],
  ['HeadersTooLarge', ({ headersSizeBytes }) => headersSizeBytes > limits.headersSizeBytesMax],
  ['HeadersTooLarge', ({ longestNameLength }) => longestNameLength > limits.headerNameLengthMax],
  ['HeadersTooLarge', hasLongValue],
  ['InvalidRequest', ({ headers }) => !hostForm.test(headers.get('host')?.[0] ?? '')],
  [
    'InvalidRequest',
    ({ headers, options }) =>
      [...singletons, options.forwardedHeader].some((name) => (headers.get(name)?.length ?? 0) > 1),
  ],
  ['InvalidRequest', isFramedAmbiguously],
  ['MethodNotAllowed', ({ method }) => !methods.has(method)],
  ['InvalidRequest', ({ target }) => !target.startsWith('/') || target.includes('#')],
  ['UriTooLong', ({ target }) => target.length > limits.urlLengthMax],
  ['NotFound', ({ path }) => !pathForm.test(path)],
  ['InvalidRequest', ({ method, headers }) => withoutBody.has(method) && announcesBody(headers)],
  ['OriginNotAllowed', isUpgradeFromOtherOrigin],
];

/** Returns the error of the first rule that the head of `request` breaks, or undefined for a valid request. */
export function inspectRequest(request: IncomingMessage, options: InspectOptions): EdgeErrorCode | undefined {
  const sent = sentBy(request, options);
  return rules.find(([, breaks]) => breaks(sent))?.[0];
}

function sentBy(request: IncomingMessage, options: InspectOptions): Sent {
  const { rawHeaders, url: target = '', method = '', httpVersion } = request;
  const headers = new Map<string, string[]>();
  let headersSizeBytes = 0;
  let longestNameLength = 0;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    headersSizeBytes += name.length + value.length + lineOverheadSizeBytes;
    longestNameLength = Math.max(longestNameLength, name.length);
    const known = headers.get(name);
    if (known === undefined) headers.set(name, [value]);
    else known.push(value);
  }
  const headerCount = rawHeaders.length / 2;
  const path = target.split('?', 1)[0] ?? '';
  return { method, target, path, httpVersion, headers, headerCount, headersSizeBytes, longestNameLength, options };
}

function hasLongValue({ headers }: Sent): boolean {
  for (const [name, values] of headers) {
    const lengthMax =
      name === 'authorization' ? limits.tokenLengthMax + tokenPrefixLength : limits.headerValueLengthMax;
    if (values.some(({ length }) => length > lengthMax)) return true;
  }
  return false;
}

/**
 * Returns whether the length of the body is ambiguous. A valid request has at most one of a transfer coding and a
 * length, and no transfer coding in HTTP/1.0 (RFC 9112 section 6.1).
 */
function isFramedAmbiguously({ headers, httpVersion }: Sent): boolean {
  const [coding] = headers.get('transfer-encoding') ?? [];
  if (coding === undefined) return !/^\d{0,15}$/.test(headers.get('content-length')?.[0] ?? '');
  return coding.toLowerCase() !== 'chunked' || headers.has('content-length') || httpVersion !== '1.1';
}

function announcesBody(headers: Sent['headers']): boolean {
  return headers.has('transfer-encoding') || Number(headers.get('content-length')?.[0] ?? 0) > 0;
}

/**
 * Returns whether a web page of an origin that is not allowed requests an upgrade. Browsers send no preflight before an
 * upgrade, and native apps send no origin. Pages of this server, such as the chat page, are allowed.
 */
function isUpgradeFromOtherOrigin({ headers, options }: Sent): boolean {
  const [origin] = headers.get('origin') ?? [];
  if (origin === undefined || !headers.has('upgrade')) return false;
  const [host = ''] = headers.get('host') ?? [];
  const isOwn = origin === `https://${host}` || origin === `http://${host}`;
  return !isOwn && !options.isAllowedOrigin(origin);
}

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
 * The head of a request, read from every header as it was sent, because Node joins some repeated headers and drops the
 * rest.
 */
interface Sent {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  /** The first value of each header that may occur only once, by lower-case name. */
  readonly singles: ReadonlyMap<string, string>;
  /** Whether a header that may occur only once occurs twice. */
  readonly hasRepeatedSingleton: boolean;
  readonly hasLongValue: boolean;
  readonly headerCount: number;
  readonly headersSizeBytes: number;
  readonly longestNameLength: number;
  readonly options: InspectOptions;
}

/**
 * Headers that may occur only once, because a proxy and this server could each use a different one of two values
 * (request smuggling).
 */
const singletons: ReadonlySet<string> = new Set([
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
]);

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
  ['HeadersTooLarge', ({ hasLongValue }) => hasLongValue],
  ['InvalidRequest', ({ singles }) => !hostForm.test(singles.get('host') ?? '')],
  ['InvalidRequest', ({ hasRepeatedSingleton }) => hasRepeatedSingleton],
  ['InvalidRequest', isFramedAmbiguously],
  ['MethodNotAllowed', ({ method }) => !methods.has(method)],
  ['InvalidRequest', ({ target }) => !target.startsWith('/') || target.includes('#')],
  ['UriTooLong', ({ target }) => target.length > limits.urlLengthMax],
  ['NotFound', ({ target }) => !pathForm.test(pathOf(target))],
  ['InvalidRequest', ({ method, singles }) => withoutBody.has(method) && announcesBody(singles)],
  ['OriginNotAllowed', isUpgradeFromOtherOrigin],
];

/** Returns the error of the first rule that the head of `request` breaks, or undefined for a valid request. */
export function inspectRequest(request: IncomingMessage, options: InspectOptions): EdgeErrorCode | undefined {
  const sent = sentBy(request, options);
  for (const [code, breaks] of rules) if (breaks(sent)) return code;
  return undefined;
}

/** Reads the head in one pass. */
function sentBy(request: IncomingMessage, options: InspectOptions): Sent {
  const { rawHeaders, url: target = '', method = '', httpVersion } = request;
  const singles = new Map<string, string>();
  let hasRepeatedSingleton = false;
  let hasLongValue = false;
  let headersSizeBytes = 0;
  let longestNameLength = 0;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    headersSizeBytes += name.length + value.length + lineOverheadSizeBytes;
    if (name.length > longestNameLength) longestNameLength = name.length;
    if (value.length > valueLengthMaxOf(name)) hasLongValue = true;
    if (singletons.has(name) || name === options.forwardedHeader) {
      if (singles.has(name)) hasRepeatedSingleton = true;
      else singles.set(name, value);
    }
  }
  const headerCount = rawHeaders.length / 2;
  return {
    method,
    target,
    httpVersion,
    singles,
    hasRepeatedSingleton,
    hasLongValue,
    headerCount,
    headersSizeBytes,
    longestNameLength,
    options,
  };
}

function valueLengthMaxOf(name: string): number {
  return name === 'authorization' ? limits.tokenLengthMax + tokenPrefixLength : limits.headerValueLengthMax;
}

function pathOf(target: string): string {
  const queryAt = target.indexOf('?');
  return queryAt === -1 ? target : target.slice(0, queryAt);
}

/**
 * Returns whether the length of the body is ambiguous. A valid request has at most one of a transfer coding and a
 * length, and no transfer coding in HTTP/1.0 (RFC 9112 section 6.1).
 */
function isFramedAmbiguously({ singles, httpVersion }: Sent): boolean {
  const coding = singles.get('transfer-encoding');
  const length = singles.get('content-length');
  if (coding === undefined) return !/^\d{0,15}$/.test(length ?? '');
  return coding.toLowerCase() !== 'chunked' || length !== undefined || httpVersion !== '1.1';
}

function announcesBody(singles: Sent['singles']): boolean {
  return singles.has('transfer-encoding') || Number(singles.get('content-length') ?? 0) > 0;
}

/**
 * Returns whether a web page of an origin that is not allowed requests an upgrade. Browsers send no preflight before an
 * upgrade, and native apps send no origin. Pages of this server, such as the chat page, are allowed.
 */
function isUpgradeFromOtherOrigin({ singles, options }: Sent): boolean {
  const origin = singles.get('origin');
  if (origin === undefined || !singles.has('upgrade')) return false;
  const host = singles.get('host') ?? '';
  const isOwn = origin === `https://${host}` || origin === `http://${host}`;
  return !isOwn && !options.isAllowedOrigin(origin);
}

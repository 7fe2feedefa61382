export const authorization = 'Authorization: Bearer alice';
export const host = 'Host: nightjar.test';
export const jsonType = 'Content-Type: application/json';
export const describePath = '/xrpc/com.example.describe';
export const storePath = '/xrpc/com.example.store';
export const watchPath = '/xrpc/com.example.watch';

/** A request line and headers, ended by an empty line. */
export function head(line: string, ...headers: readonly string[]): string {
  return `${[line, ...headers].join('\r\n')}\r\n\r\n`;
}

/** A GET with status 200 as its response, with further headers. */
export function get(path = describePath, ...headers: readonly string[]): string {
  return head(`GET ${path} HTTP/1.1`, host, authorization, ...headers);
}

/** A POST framed by Content-Length, with status 200 as its response when the body is valid. */
export function post(body: string | Buffer, ...headers: readonly string[]): Buffer {
  const start = head(
    `POST ${storePath} HTTP/1.1`,
    host,
    authorization,
    ...(headers.some((header) => /^content-type:/i.test(header)) ? [] : [jsonType]),
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  );
  return Buffer.concat([Buffer.from(start), Buffer.from(body)]);
}

/** A POST with the framing headers `framing`, and the bytes `after` its head. */
export function postAs(framing: readonly string[], after: string): string {
  return head(`POST ${storePath} HTTP/1.1`, host, authorization, jsonType, ...framing) + after;
}

export const goodBody = '{"title":"a"}';
export const goodChunks = `d\r\n${goodBody}\r\n0\r\n\r\n`;

/** A valid WebSocket handshake, with further headers. */
export function upgradeTo(path = `${watchPath}?ticket=alice`, ...headers: readonly string[]): string {
  return head(
    `GET ${path} HTTP/1.1`,
    host,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  );
}

/** A client's WebSocket frame (RFC 6455 section 5.2), masked with zeros. */
export function frame(
  opcode: number,
  payload: Buffer,
  options: { readonly isFinal?: boolean; readonly isMasked?: boolean; readonly reserved?: number } = {},
): Buffer {
  const { isFinal = true, isMasked = true, reserved = 0 } = options;
  const first = (isFinal ? 0x80 : 0) | reserved | opcode;
  const maskBit = isMasked ? 0x80 : 0;
  const length = payload.length;
  const start =
    length < 126
      ? Buffer.from([first, maskBit | length])
      : Buffer.from([first, maskBit | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (length >> shift) & 0xff)]);
  return Buffer.concat([start, isMasked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

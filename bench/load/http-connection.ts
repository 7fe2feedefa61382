import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** A keep-alive connection that sends one request after the other, because fetch would need more CPU time. */
export interface LoadConnection {
  /** Whether the connection was closed, by the server or by `close`. */
  readonly isClosed: boolean;
  /**
   * Sends the bytes of a whole request.
   * @returns the status and the body of the response.
   */
  send(request: Buffer): Promise<LoadResponse>;
  close(): void;
}

export interface LoadResponse {
  readonly status: number;
  readonly body: Buffer;
}

const headEnd = Buffer.from('\r\n\r\n');

export async function openConnection(port: number): Promise<LoadConnection> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opened = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(opened)).once('error', reject);
  });
  let received = Buffer.alloc(0);
  let waiting: { resolve: (response: LoadResponse) => void; reject: (error: Error) => void } | undefined;
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const response = parseResponse(received);
    if (response === undefined) return;
    received = Buffer.alloc(0);
    waiting?.resolve(response);
  });
  socket.on('close', () => waiting?.reject(new Error('the server closed the connection')));
  socket.on('error', (error) => waiting?.reject(error));
  return {
    get isClosed() {
      return socket.destroyed;
    },
    send: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(request);
      }),
    close: () => socket.destroy(),
  };
}

function parseResponse(bytes: Buffer): LoadResponse | undefined {
  const end = bytes.indexOf(headEnd);
  if (end === -1) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const sizeBytes = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const body = bytes.subarray(end + headEnd.length);
  return body.length < sizeBytes ? undefined : { status: Number(head.slice(9, 12)), body: body.subarray(0, sizeBytes) };
}

export function postRequest(method: string, token: string, body: string): Buffer {
  return Buffer.from(
    `POST /xrpc/blue.catbird.mls.${method} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

export function getRequest(method: string, token: string, query: string): Buffer {
  return Buffer.from(
    `GET /xrpc/blue.catbird.mls.${method}?${query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
}

/**
 * Checks that a request succeeded.
 * @throws Error with the body when the status is not 200.
 */
export function expectOk(response: LoadResponse): void {
  if (response.status !== 200)
    throw new Error(`the server responded with ${response.status}: ${response.body.toString('utf8')}`);
}

export function openConnections(port: number, count: number): Promise<LoadConnection[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(port)));
}

import { once } from 'node:events';
import { decodeAll } from '@atproto/lex-cbor';
import { WebSocket } from 'ws';
import type { BenchServer } from '../server/bench-server.ts';
import { expectOk, openConnection, postRequest } from './http-connection.ts';
import type { Person } from './people.ts';

export interface EventSocketOptions {
  /** Called with the id of each message that arrives. */
  readonly onMessage?: (msgId: string) => void;
  /** Called with the cursor of the first frame. */
  readonly onCursor?: (cursor: string) => void;
  /** The cursor after which the server sends older events. */
  readonly cursor?: string;
}

export interface EventSocket {
  /** Frames received so far. */
  readonly frames: number;
  close(): void;
}

/** The CBOR text `"id"` before a text of 36 bytes. Frames are not decoded, because a decoder costs more than a server. */
const messageIdStart = Buffer.from([0x62, 0x69, 0x64, 0x78, 0x24]);
const messageIdLength = 36;

/** Opens a person's live stream. */
export async function openEventSocket(
  server: BenchServer,
  person: Person,
  { onMessage, onCursor, cursor }: EventSocketOptions = {},
): Promise<EventSocket> {
  const connection = await openConnection(server.serverPort);
  const response = await connection.send(
    postRequest('getSubscriptionTicket', person.mintToken('getSubscriptionTicket'), '{}'),
  );
  connection.close();
  expectOk(response);
  const { ticket } = JSON.parse(response.body.toString('utf8')) as { ticket: string };
  const search = new URLSearchParams({ ticket, ...(cursor === undefined ? {} : { cursor }) });
  const path = `/xrpc/blue.catbird.mls.subscribeConvoEvents?${search.toString()}`;
  const socket = new WebSocket(`ws://127.0.0.1:${server.serverPort}${path}`, { perMessageDeflate: false });
  let frames = 0;
  socket.on('message', (data: Buffer) => {
    if (frames === 0) onCursor?.(cursorOf(data));
    frames += 1;
    const start = data.indexOf(messageIdStart);
    if (start === -1 || onMessage === undefined) return;
    const idAt = start + messageIdStart.length;
    onMessage(data.toString('latin1', idAt, idAt + messageIdLength));
  });
  await once(socket, 'open');
  return {
    get frames() {
      return frames;
    },
    close: () => socket.terminate(),
  };
}

/** Decodes a frame, which is a CBOR header and a CBOR body. */
function cursorOf(frame: Buffer): string {
  const [, body] = [...decodeAll(frame)] as unknown as [unknown, { cursor: string }];
  return body.cursor;
}

import { createParser } from 'eventsource-parser';
import { NoResponseError } from '../api/api-error.ts';
import type { ApiClient } from '../api/api-client.ts';
import { errorOf, namespace } from '../api/api-client.ts';
import { parseJson } from '../api/bytes.ts';
import type { StreamEvent } from '../api/methods.ts';
import type { Connection, ConnectionRequest } from './connection.ts';
import { eventOf } from './stream-event.ts';

const nsid = `${namespace}.streamConvoEvents`;

/**
 * Opens streamConvoEvents. The reader sets the pace: what it does not read stays in the network.
 * @throws ApiError for an error response, NoResponseError when none arrived.
 */
export async function openServerSentEvents(api: ApiClient, request: ConnectionRequest): Promise<Connection> {
  const { convoId, cursor, signal } = request;
  const search = new URLSearchParams();
  if (cursor !== undefined) search.set('cursor', cursor);
  if (convoId !== undefined) search.set('convoId', convoId);
  const authorization = `Bearer ${await api.getToken(nsid, signal)}`;
  const response = await api
    .fetch(`${api.serviceUrl}/xrpc/${nsid}?${search.toString()}`, {
      headers: { authorization, accept: 'text/event-stream' },
      signal,
    })
    .catch((error: unknown) => {
      throw new NoResponseError('getSubscriptionTicket', error);
    });
  if (!response.ok || response.body === null) {
    throw errorOf('getSubscriptionTicket', response, await response.text());
  }
  return { events: eventsOf(response.body, request), sendTyping: () => undefined };
}

async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  { idleTimeoutMs, signal }: ConnectionRequest,
): AsyncGenerator<StreamEvent, void, undefined> {
  const ready: StreamEvent[] = [];
  const parser = createParser({ onEvent: ({ data }) => ready.push(eventOf(parseJson(data))) });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const chunk = await readWithin(reader, idleTimeoutMs);
      if (chunk === undefined) return;
      parser.feed(decoder.decode(chunk, { stream: true }));
      yield* ready.splice(0);
    }
  } catch (error) {
    // A cut connection ends the events; the stream resumes with the next connection.
    if (error instanceof TypeError || signal.aborted) return;
    throw error;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** The next piece; undefined at the end, or when none arrives within `timeoutMs`. */
async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeoutMs)));
  try {
    return await Promise.race([reader.read().then(({ value }) => value), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

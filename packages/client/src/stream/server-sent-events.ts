import { createParser } from 'eventsource-parser';
import { NoResponseError } from '../api/api-error.ts';
import type { ApiClient } from '../api/api-client.ts';
import { errorOf, namespace } from '../api/api-client.ts';
import { parseJson } from '../api/bytes.ts';
import type { StreamEvent } from '../api/methods.ts';
import { openTimeoutMs } from './connection.ts';
import type { Connection, ConnectionRequest } from './connection.ts';
import { eventOf, FrameError } from './stream-event.ts';

const endpoint = 'streamConvoEvents';
const nsid = `${namespace}.${endpoint}`;

/**
 * Opens streamConvoEvents. The reader sets the pace: what it does not read stays in the network.
 * @throws ApiError for an error response, NoResponseError when none arrived, TokenError.
 */
export async function openServerSentEvents(api: ApiClient, request: ConnectionRequest): Promise<Connection> {
  const { signal, idleTimeoutMs } = request;
  const authorization = `Bearer ${await api.getToken(nsid, signal)}`;
  signal.throwIfAborted();
  const ended = new AbortController();
  const end = (): void => ended.abort();
  signal.addEventListener('abort', end, { once: true, signal: ended.signal });
  const timer = setTimeout(end, Math.min(idleTimeoutMs, openTimeoutMs));
  try {
    const response = await api
      .fetch(`${api.serviceUrl}/xrpc/${nsid}?${searchOf(request)}`, {
        headers: { authorization, accept: 'text/event-stream' },
        signal: ended.signal,
      })
      .catch((error: unknown) => {
        throw new NoResponseError(endpoint, error);
      });
    if (!response.ok || response.body === null) throw errorOf(endpoint, response, await response.text());
    return { events: eventsOf(response.body, request, ended), sendTyping: () => undefined };
  } catch (error) {
    end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function searchOf({ convoId, cursor }: ConnectionRequest): string {
  const search = new URLSearchParams();
  if (cursor !== undefined) search.set('cursor', cursor);
  if (convoId !== undefined) search.set('convoId', convoId);
  return search.toString();
}

async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  { idleTimeoutMs }: ConnectionRequest,
  ended: AbortController,
): AsyncGenerator<StreamEvent, void, undefined> {
  const ready: StreamEvent[] = [];
  const parser = createParser({ onEvent: ({ data }) => ready.push(readEvent(data)) });
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
    if (error instanceof FrameError) throw error;
  } finally {
    ended.abort();
    reader.cancel().catch(() => undefined);
  }
}

function readEvent(data: string): StreamEvent {
  let body: unknown;
  try {
    body = parseJson(data);
  } catch (error) {
    throw new FrameError('an event is not JSON', { cause: error });
  }
  return eventOf(body);
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

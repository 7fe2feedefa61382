import { stringifyJson } from '#client/api/bytes.ts';
import { eventOf } from '#client/stream/stream-event.ts';
import type { CheckedClient } from '../checked-client.ts';
import { forward, headersOf } from './forward-call.ts';
import type { CallToForward } from './forward-call.ts';
import { noteStream } from './forward-socket.ts';
import { objectOf, searchOf } from './read-call.ts';
import { StreamRelay } from './stream-relay.ts';
import type { StreamOutput } from './stream-relay.ts';

const nsid = 'blue.catbird.mls.subscribeConvoEvents';

/** Forwards streamConvoEvents of the client under test, and relays its events. */
export async function forwardEventSource(client: CheckedClient, toForward: CallToForward): Promise<void> {
  const { incoming, response } = toForward;
  const search = searchOf(incoming);
  const { 'last-event-id': lastEventId } = incoming.headers;
  if (typeof lastEventId === 'string') search.set('cursor', lastEventId);
  const record = noteStream(client, 'server-sent events', search);
  const refuse = (): void => {
    record.isRefused = true;
    record.endedMs = performance.now();
  };
  if (client.faults.streams.isRefusing) {
    refuse();
    const body = '{"error":"ServiceUnavailable","message":"Try again as Retry-After says."}';
    response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' }).end(body);
    return;
  }
  const foreign = client.faults.streams.foreignCursor;
  if (foreign !== undefined) {
    search.set('cursor', foreign);
    delete incoming.headers['last-event-id'];
  }
  const url = `/xrpc/blue.catbird.mls.streamConvoEvents?${search.toString()}`;
  const received = await forward(toForward, url);
  if (!received.ok || received.body === null) {
    refuse();
    response.writeHead(received.status, headersOf(received)).end(await received.text());
    return;
  }
  response.writeHead(received.status, headersOf(received));
  const body = received.body.pipeThrough(new TextDecoderStream());
  const relay = new StreamRelay(client, record, outputTo(response));
  response.on('close', () => relay.end());
  await relayEvents(body, relay, response).catch(() => undefined);
  relay.end();
  response.end();
}

/** Events of the service end with an empty line; comments keep the connection open. */
async function relayEvents(
  body: ReadableStream<string>,
  relay: StreamRelay,
  response: CallToForward['response'],
): Promise<void> {
  let rest = '';
  for await (const chunk of body) {
    if (response.destroyed) return;
    const parts = (rest + chunk).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const data = part.split('\n').find((line) => line.startsWith('data: '));
      if (data === undefined) response.write(`${part}\n\n`);
      else relay.receive(eventOf(objectOf(data.slice('data: '.length))));
    }
  }
}

function outputTo(response: CallToForward['response']): StreamOutput {
  return {
    send: (event, cursor) => void response.write(`id: ${cursor}\ndata: ${stringifyJson({ ...event, cursor })}\n\n`),
    cut: () => void response.destroy(),
    endAsTooSlow(cursor) {
      const info = 'ConsumerTooSlow: The subscriber did not read fast enough. Reconnect with the last cursor.';
      response.end(`data: ${JSON.stringify({ $type: `${nsid}#infoEvent`, cursor, info })}\n\n`);
    },
  };
}

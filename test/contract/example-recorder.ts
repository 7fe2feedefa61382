import { lexToJson } from '@atproto/lex-json';
import type { LexValue } from '@atproto/lex-schema';
import { openEventStream } from '../support/clients/event-stream.ts';
import { openRawSocket } from '../support/clients/raw-streams.ts';
import type { ExampleCalls, People } from './example-calls.ts';
import { createPlaceholders, didOf } from './placeholders.ts';

/** One call of a test, with fixed values in place of those that differ between runs. */
interface Example {
  /** Name of the person who called. */
  readonly caller: string;
  readonly request: unknown;
  readonly answer: unknown;
}

/** Makes calls and records the first of each method. */
export interface ExampleRecorder extends ExampleCalls {
  /** Returns the examples by method, in alphabetical order. */
  examples(): Readonly<Record<string, Example>>;
}

/** @param serverUrl the URL that the examples show as `mls.example.com`. */
export function createExampleRecorder(people: People, serverUrl: string): ExampleRecorder {
  const kept = new Map<string, Example>();
  const replaceVarying = createPlaceholders(
    new Map([
      ...[...people].map(([name, { did }]): [string, string] => [did, didOf(name)]),
      [serverUrl.replace('http', 'ws'), 'wss://mls.example.com'],
    ]),
  );
  const keep = (name: string, did: string, { request, answer }: Omit<Example, 'caller'>): void => {
    const [caller = ''] = [...people].find(([, client]) => client.did === did) ?? [];
    if (kept.has(name)) return;
    kept.set(name, { caller, request: replaceVarying(request), answer: replaceVarying(answer) });
  };
  return {
    async call(name, client, request) {
      const answer = await client.call(name, request);
      keep(name, client.did, { request: lexToJson(request as LexValue), answer: lexToJson(answer as LexValue) });
      return answer;
    },
    async callWithoutBody(name, client) {
      const { text } = await client.raw(name, { verb: 'POST' });
      keep(name, client.did, { request: undefined, answer: JSON.parse(text) });
    },
    async firstMessage(name, client, request) {
      const isSocket = name === 'subscribeConvoEvents';
      // The example has the ticket in its request.
      const stream = await (isSocket
        ? openRawSocket(client, request)
        : openEventStream(client, { ...request, transport: 'server-sent-events' }));
      const event = await stream.next('messageEvent');
      await stream.close();
      keep(name, client.did, { request, answer: lexToJson(event as unknown as LexValue) });
      return event;
    },
    examples: () => Object.fromEntries([...kept].toSorted(([left], [right]) => (left < right ? -1 : 1))),
  };
}

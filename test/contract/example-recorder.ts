import { lexToJson } from '@atproto/lex-json';
import type { LexValue } from '@atproto/lex-schema';
import type { AnswerOf, MethodName, RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';
import { createStandIns } from './stand-ins.ts';

/** One call that a test has made, with stand-ins for what differs from run to run. */
export interface Example {
  readonly request: unknown;
  readonly answer: unknown;
}

/** Makes calls and keeps the first of each method. */
export interface ExampleRecorder {
  call<Name extends MethodName>(name: Name, client: XrpcClient, request: RequestOf<Name>): Promise<AnswerOf<Name>>;
  /** Keeps what did not come from a call. */
  keep(name: string, example: Example): void;
  /** By method, in alphabetical order. */
  examples(): Readonly<Record<string, Example>>;
}

/** @param names what to show in place of a value, wherever it stands. */
export function createExampleRecorder(names: ReadonlyMap<string, string>): ExampleRecorder {
  const kept = new Map<string, Example>();
  const standIn = createStandIns(names);
  const keep = (name: string, { request, answer }: Example): void => {
    if (!kept.has(name)) kept.set(name, { request: standIn(request), answer: standIn(answer) });
  };
  return {
    keep,
    async call(name, client, request) {
      const answer = await client.call(name, request);
      keep(name, { request: lexToJson(request as LexValue), answer: lexToJson(answer as LexValue) });
      return answer;
    },
    examples: () => Object.fromEntries([...kept].toSorted(([left], [right]) => (left < right ? -1 : 1))),
  };
}

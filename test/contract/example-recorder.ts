import type { MethodName } from '#client/api/methods.ts';
import { lexToJson } from '@atproto/lex-json';
import type { LexValue } from '@atproto/lex-schema';
import type { ResponseOf, RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';
import { createPlaceholders } from './placeholders.ts';

/** One call of a test, with fixed values in place of those that differ between runs. */
export interface Example {
  readonly request: unknown;
  readonly answer: unknown;
}

/** Makes calls and records the first of each method. */
export interface ExampleRecorder {
  call<Name extends MethodName>(name: Name, client: XrpcClient, request: RequestOf<Name>): Promise<ResponseOf<Name>>;
  /** Records an example that is not from a call. */
  keep(name: string, example: Example): void;
  /** Returns the examples by method, in alphabetical order. */
  examples(): Readonly<Record<string, Example>>;
}

/** @param names the texts to show in place of values, by value. */
export function createExampleRecorder(names: ReadonlyMap<string, string>): ExampleRecorder {
  const kept = new Map<string, Example>();
  const replaceVarying = createPlaceholders(names);
  const keep = (name: string, { request, answer }: Example): void => {
    if (!kept.has(name)) kept.set(name, { request: replaceVarying(request), answer: replaceVarying(answer) });
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

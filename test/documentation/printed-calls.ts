import { lexParse, lexToJson } from '@atproto/lex-json';
import type { LexValue, Procedure, Query } from '@atproto/lex-schema';
import { createApiClient } from '#client/api/api-client.ts';
import type { MethodName, StreamEvent } from '#client/api/methods.ts';
import type { EventOf } from '#client/stream/stream-event.ts';
import { readFrame } from '#client/stream/frame.ts';
import * as mls from '#xrpc/lexicon/blue/catbird/mls.ts';
import { main as events } from '#xrpc/lexicon/blue/catbird/mls/subscribeConvoEvents.defs.ts';
import type { ExampleCalls } from '../contract/example-calls.ts';
import type { ResponseOf, XrpcClient } from '../support/clients/xrpc-client.ts';
import type { CurlExamples } from './curl-examples.ts';
import { printedExamples, valueOf } from './method-page.ts';
import type { ExampleModules } from './typescript-examples.ts';

/** How the example of a method is run. */
export interface ExampleRunner {
  call(
    method: string,
    client: XrpcClient,
    request: unknown,
  ): Promise<{ readonly status: number; readonly text: string }>;
  /** Returns the first message of a stream, as in JSON. */
  firstMessage(method: string, client: XrpcClient, request: unknown): Promise<unknown>;
}

/** Calls that run the printed example of each method once, and that remember which methods succeeded. */
export interface PrintedCalls extends ExampleCalls {
  readonly succeeded: ReadonlySet<string>;
}

const lexicons: Readonly<Record<MethodName, { readonly main: Query | Procedure }>> = mls;

/** Makes the first call of each method as its page shows it, and checks the status and the lexicon of the response. */
export function createPrintedCalls(runner: ExampleRunner): PrintedCalls {
  const succeeded = new Set<string>();
  async function runPrinted(name: MethodName, client: XrpcClient, request: unknown): Promise<unknown> {
    const { status, text } = await runner.call(name, client, request);
    if (status !== 200) throw new Error(`the example of ${name} got ${status}: ${text}`);
    const output = outputOf(name, text);
    succeeded.add(name);
    return output;
  }
  return {
    succeeded,
    async call(name, client, request) {
      if (succeeded.has(name)) return client.call(name, request);
      // The output was checked against the lexicon from which the type was generated.
      return (await runPrinted(name, client, lexToJson(request as LexValue))) as ResponseOf<typeof name>;
    },
    async callWithoutBody(name, client) {
      await runPrinted(name, client, {});
    },
    async firstMessage(name, client, request) {
      const event = events.message.parse(await runner.firstMessage(name, client, request));
      succeeded.add(name);
      return event as EventOf<'messageEvent'>;
    },
  };
}

function outputOf(name: MethodName, text: string): unknown {
  const { schema } = lexicons[name].main.output;
  return schema === undefined ? undefined : schema.parse(lexParse(text));
}

/** Runs the examples in TypeScript with a client of the caller's account. */
export function inTypeScript(modules: ExampleModules): ExampleRunner {
  async function run(method: string, client: XrpcClient, request: unknown): Promise<Ran> {
    const ran: Ran = { status: 0, text: '', events: [] };
    const api = createApiClient({
      serviceUrl: client.server.url,
      getToken: async (nsid) => client.account.mintToken({ aud: client.server.serviceDid, lxm: nsid }),
      async fetch(input, init) {
        const response = await fetch(input, init);
        if (response.headers.get('content-type')?.startsWith('application/json') === true)
          ran.text = await response.clone().text();
        ran.status = response.status;
        return response;
      },
    });
    const values = printedExamples(method).variables.map((variable) => {
      const value = valueOf(variable, request);
      return [variable.name, variable.isBytes ? new Uint8Array(Buffer.from(value, 'base64')) : value] as const;
    });
    const example = await modules.load(method);
    const log = (event: unknown): void => void ran.events.push(event as StreamEvent);
    await example({ api, console: { log } }, Object.fromEntries(values));
    return ran;
  }
  return {
    call: run,
    async firstMessage(method, client, request) {
      const ran = await run(method, client, request);
      return ran.events.find(({ $type }) => $type.endsWith('#messageEvent'));
    },
  };
}

interface Ran {
  status: number;
  text: string;
  readonly events: StreamEvent[];
}

/** Runs the examples for the shell with a token of the caller's account. */
export function withCurl(curl: CurlExamples): ExampleRunner {
  function prepared(
    method: string,
    client: XrpcClient,
    request: unknown,
  ): { command: string; variables: Record<string, string> } {
    const example = printedExamples(method);
    const values = example.variables.map((variable) => [variable.shellName, valueOf(variable, request)] as const);
    const variables = { SERVICE_URL: client.server.url, TOKEN: client.token(method), ...Object.fromEntries(values) };
    return { command: example.curl, variables };
  }
  return {
    call(method, client, request) {
      const { command, variables } = prepared(method, client, request);
      return curl.run(command, variables);
    },
    async firstMessage(method, client, request) {
      const { command, variables } = prepared(method, client, request);
      return curl.runUntil(command, variables, method === 'subscribeConvoEvents' ? messageInFrames : messageInLines);
    },
  };
}

function messageInLines(output: Buffer): unknown {
  const [, data] = /^data: (.*#messageEvent.*)$/m.exec(output.toString('utf8')) ?? [];
  return data === undefined ? undefined : lexParse(data);
}

/** Finds a message in the frames (RFC 6455 section 5.2) that follow the head of a response with status 101. */
function messageInFrames(output: Buffer): unknown {
  const head = output.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  if (!output.subarray(0, head).toString('latin1').startsWith('HTTP/1.1 101 '))
    throw new Error('the WebSocket did not open');
  for (let at = head + 4; at + 4 <= output.length;) {
    const short = output.readUInt8(at + 1);
    const sizeBytes = short === 126 ? output.readUInt16BE(at + 2) : short;
    const start = at + (short === 126 ? 4 : 2);
    if (start + sizeBytes > output.length) return undefined;
    const frame = readFrame(output.subarray(start, start + sizeBytes));
    if ('$type' in frame && frame.$type.endsWith('#messageEvent')) return frame;
    at = start + sizeBytes;
  }
  return undefined;
}

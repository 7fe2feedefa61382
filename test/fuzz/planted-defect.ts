import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { l } from '@atproto/lex-schema';
import { AppError } from '#platform/errors.ts';
import { procedure } from '#xrpc/endpoint.ts';
import { parseJson } from '#xrpc/input/json-text.ts';
import { toXrpcError } from '#xrpc/response/error-response.ts';
import { methodOf } from './lexicon-schema.ts';
import type { FuzzMethod, Json } from './lexicon-schema.ts';

const nsid = 'com.example.store';

/** The contract of the planted service; the schema that it enforces may differ. */
export const storeMethod: FuzzMethod = methodOf(new Map(), nsid, {
  type: 'procedure',
  input: {
    schema: {
      type: 'object',
      required: ['title', 'size'],
      properties: {
        title: { type: 'string', minLength: 2, maxLength: 20 },
        size: { type: 'integer', minimum: 0, maximum: 10 },
        isLoud: { type: 'boolean' },
        when: { type: 'string', format: 'datetime' },
        kind: { type: 'string', enum: ['red', 'blue'] },
        body: { type: 'bytes', maxLength: 16 },
        owners: { type: 'array', minLength: 1, maxLength: 3, items: { type: 'string', format: 'did' } },
      },
    },
  },
  output: { encoding: 'application/json' },
  errors: [{ name: 'ConvoNotFound' }, { name: 'Unauthorized' }],
});

export const storeInput: Readonly<Record<string, Json>> = {
  title: 'A long enough title',
  size: 7,
  isLoud: true,
  kind: 'red',
  when: '2026-01-01T00:00:00Z',
  body: { $bytes: 'AAECAw==' },
  owners: ['did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
};

const output = l.object({ title: l.string(), size: l.integer() });
export const storeOutputFits = (value: unknown): boolean => output.safeValidate(value).success;

/** The fields as they should be checked. */
export const soundFields = {
  title: l.string({ minLength: 2, maxLength: 20 }),
  size: l.integer({ minimum: 0, maximum: 10 }),
  isLoud: l.optional(l.boolean()),
  when: l.optional(l.string({ format: 'datetime' })),
  kind: l.optional(l.enum(['red', 'blue'])),
  body: l.optional(l.bytes({ maxLength: 16 })),
  owners: l.optional(l.array(l.string({ format: 'did' }), { minLength: 1, maxLength: 3 })),
};

/** How the service violates its contract. */
export interface Defect {
  /** Checks that replace those of `soundFields`. */
  readonly fields?: Readonly<Record<string, l.Validator>>;
  /** Runs in place of the handler; may throw. */
  readonly handle?: (input: Readonly<Record<string, unknown>>) => unknown;
  /** Responds in place of the whole service. */
  readonly respond?: (response: ServerResponse, body: Buffer) => void;
}

export interface PlantedService {
  readonly origin: string;
  stop(): Promise<void>;
}

/** Serves one method with a defect, with the request checks and error responses of the real service. */
export async function startPlantedService(defect: Defect): Promise<PlantedService> {
  const schema = l.object({ ...soundFields, ...defect.fields });
  const endpoint = procedure({
    lexicon: l.procedure(nsid, l.params(), l.payload('application/json', schema), l.payload(undefined), [
      ...storeMethod.errors,
    ]),
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ input }) => {
      defect.handle?.(input);
      return undefined;
    },
  });
  const answerTo = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    if (defect.respond !== undefined) return defect.respond(response, body);
    const parsed = parseJson(body, { depthMax: 32, valuesMax: 20_000, keyLengthMax: 128 });
    const send = (status: number, text: string): void =>
      void response.writeHead(status, { 'Content-Type': 'application/json' }).end(text);
    try {
      const isJson = request.headers['content-type'] === 'application/json';
      if ('problem' in parsed || !isJson) throw new AppError('InvalidRequest', 'The body must be JSON.');
      await endpoint.call({ caller: { did: 'did:plc:a' }, search: '', body: parsed.value });
      send(200, JSON.stringify({ title: 'stored', size: 1 }));
    } catch (error) {
      const refusal = toXrpcError(error, endpoint.errors);
      send(refusal.status, refusal.body);
    }
  };
  const server = createServer((request, response) => void answerTo(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

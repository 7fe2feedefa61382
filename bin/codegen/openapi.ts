import { version } from '#platform/process/version.ts';
import { generalErrorFacts } from './error-facts.ts';
import type { ErrorFacts } from './error-facts.ts';
import { readLexicons } from './method-facts.ts';
import type { LexiconFacts, MethodBody, MethodFacts } from './method-facts.ts';
import { bytesRef, bytesSchema, componentName, SchemaWriter } from './openapi-schemas.ts';

type Part = Readonly<Record<string, unknown>>;

/** Where the document gets its parts, and the definitions to which they refer. */
interface Sources {
  readonly lexicons: readonly LexiconFacts[];
  readonly refs: Set<string>;
  /** Responses that have only errors of every method, by name. */
  readonly responses: Map<string, Part>;
}

const description = `A delivery service for end-to-end encrypted messengers on AT Protocol, by MLS (RFC 9420).

Each call needs a service token of the caller's account for that method. Bytes in JSON are \`{"$bytes": "<base64>"}\`. A refusal is
\`{"error": "<Name>", "message": "<Text>"}\`; the names are stable, and each response lists those of its status with what to do.

**WebSocket:** \`subscribeConvoEvents\` is a subscription, which OpenAPI 3.1 cannot describe. Open it as a WebSocket with a ticket from
\`getSubscriptionTicket\`. Each binary frame has two DAG-CBOR maps: a header \`{"op": 1, "t": "#<name>"}\`, and an event with its name in
\`$type\`, as in the events of \`streamConvoEvents\`. A last frame with \`{"op": -1}\` has an error as its second map.`;

/** Errors that a request which this document describes cannot get. */
const impossible: ReadonlySet<string> = new Set(['MethodNotAllowed', 'MethodNotImplemented']);
const ofBodies: ReadonlySet<string> = new Set(['PayloadTooLarge', 'UnsupportedMediaType']);
const eventRef = 'event';
const refusalRef = 'refusal';
const tooMany = 429;
const unavailable = 503;

/** Returns the text of `docs/openapi.json`, an OpenAPI 3.1 document of every method. */
export async function openApiDocument(projectRoot: string): Promise<string> {
  const sources: Sources = { lexicons: await readLexicons(projectRoot), refs: new Set(), responses: new Map() };
  const paths = Object.fromEntries(
    sources.lexicons.flatMap((lexicon) => {
      const { id, method } = lexicon;
      if (method === undefined) return [];
      const verb = method.type === 'procedure' ? 'post' : 'get';
      return [[`/xrpc/${id}`, { [verb]: operation(lexicon, method, sources) }]];
    }),
  );
  const document = {
    openapi: '3.1.0',
    info: { title: 'Nightjar', version, description, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/', description: 'The service that has sent this document.' }],
    security: [{ serviceToken: [] }],
    paths,
    components: { securitySchemes, responses: Object.fromEntries(sources.responses), schemas: schemasOf(sources) },
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

const securitySchemes = {
  serviceToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'A service token of AT Protocol for one call: aud is the DID of the service, lxm is the method. com.atproto.server.getServiceAuth of a PDS makes one.',
  },
  subscriptionTicket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'A ticket for one stream, from getSubscriptionTicket.',
  },
};

function operation({ id, name }: LexiconFacts, method: MethodFacts, sources: Sources): Part {
  const { refs } = sources;
  const writer = new SchemaWriter(id, (ref) => refs.add(ref));
  const isProcedure = method.type === 'procedure';
  const { request = {} } = method.example;
  const parameters = isProcedure ? [] : writer.parametersOf(method.parameters, request);
  const isTicket = (parameter: Part): boolean => parameter['name'] === 'ticket';
  return {
    operationId: name,
    summary: summaryOf(method.description),
    description: [method.description, `**Who may call:** ${method.caller}`, `**Quota:** ${method.quota}`].join('\n\n'),
    ...(method.type === 'subscription' ? { security: [{ subscriptionTicket: [] }] } : {}),
    ...(parameters.length === 0 ? {} : { parameters: parameters.filter((parameter) => !isTicket(parameter)) }),
    ...(method.input === undefined ? {} : { requestBody: requestBody(writer, method.input, request) }),
    responses: { ...success(writer, method, refs), ...refusals(method, sources) },
  };
}

/** Returns the first sentence without its end. */
function summaryOf(text: string): string {
  return (text.split(/(?<=[.:])\s/)[0] ?? text).replace(/[.:]$/, '');
}

function requestBody(writer: SchemaWriter, { schema }: MethodBody, example: unknown): Part {
  return { required: true, content: { 'application/json': { schema: writer.schemaOf(schema), example } } };
}

function success(writer: SchemaWriter, method: MethodFacts, refs: Set<string>): Part {
  const { output, type, example } = method;
  if (type === 'subscription') return { 101: { description: 'The WebSocket is open, and frames follow.' } };
  if (output?.encoding === 'text/event-stream') {
    refs.add(eventRef);
    const contentSchema = { $ref: `#/components/schemas/${eventRef}` };
    const text = 'Events with an `id` line, the cursor, and a `data` line. The data is the JSON of `contentSchema`.';
    return {
      200: {
        description: 'The stream. It does not end by itself.',
        content: { 'text/event-stream': { schema: { type: 'string', description: text, contentSchema } } },
      },
    };
  }
  const content = { 'application/json': { schema: writer.schemaOf(output?.schema), example: example.answer } };
  return { 200: { description: 'Success.', content } };
}

/** Returns one response for each status, with the names of its errors. */
function refusals({ type, errors }: MethodFacts, { refs, responses }: Sources): Part {
  refs.add(refusalRef);
  const declared = errors.filter(({ isSent }) => isSent);
  const names = new Set(declared.map(({ name }) => name));
  const others = generalErrorFacts().filter(
    ({ name }) =>
      !names.has(name) &&
      !impossible.has(name) &&
      (type === 'procedure' || !ofBodies.has(name)) &&
      (type === 'subscription' || name !== 'UpgradeRequired'),
  );
  const byStatus = Map.groupBy([...declared, ...others], ({ status }) => status);
  const responseOf = (status: number, facts: readonly ErrorFacts[]): Part => {
    if (facts.some(({ name }) => names.has(name))) return refusal(status, facts);
    responses.set(`status${status}`, refusal(status, facts));
    return { $ref: `#/components/responses/status${status}` };
  };
  return Object.fromEntries(
    [...byStatus]
      .flatMap(([status, facts]) => (status === undefined ? [] : [[status, responseOf(status, facts)] as const]))
      .toSorted(([left], [right]) => left - right),
  );
}

function refusal(status: number, facts: readonly ErrorFacts[]): Part {
  const waits = status === tooMany || status === unavailable;
  const retryAfter = { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 1 } } };
  const named = { properties: { error: { enum: facts.map(({ name }) => name) } } };
  return {
    description: facts.map(({ name, when, action }) => `- \`${name}\`: ${when} ${action}`).join('\n'),
    ...(waits ? { headers: retryAfter } : {}),
    content: { 'application/json': { schema: { allOf: [{ $ref: `#/components/schemas/${refusalRef}` }, named] } } },
  };
}

/** Returns the definitions to which operations refer, and those to which these refer in turn. */
function schemasOf({ lexicons, refs }: Sources): Part {
  const schemas: Record<string, Part> = {};
  // A set that grows while it is read gives its new entries too.
  for (const ref of refs) {
    const [of = '', name = ''] = ref.split('#');
    schemas[componentName(ref)] = ownSchemas(lexicons, refs)[ref] ?? definition(lexicons, { of, name }, refs);
  }
  return Object.fromEntries(Object.entries(schemas).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

function definition(
  lexicons: readonly LexiconFacts[],
  { of, name }: { of: string; name: string },
  refs: Set<string>,
): Part {
  const found = lexicons.find(({ id }) => id === of)?.definitions.find(([key]) => key === name)?.[1];
  if (found === undefined) throw new Error(`there is no definition ${of}#${name}`);
  return new SchemaWriter(of, (ref) => refs.add(ref)).schemaOf(found);
}

/** Schemas that no lexicon defines. */
function ownSchemas(lexicons: readonly LexiconFacts[], refs: Set<string>): Readonly<Record<string, Part>> {
  const subscription = lexicons.find(({ method }) => method?.type === 'subscription');
  const writer = new SchemaWriter(subscription?.id ?? '', (ref) => refs.add(ref));
  return {
    [bytesRef]: bytesSchema,
    [refusalRef]: refusalSchema,
    ...(refs.has(eventRef) ? { [eventRef]: writer.schemaOf(subscription?.method?.message?.schema) } : {}),
  };
}

const refusalSchema = {
  type: 'object',
  description: 'A refused request.',
  required: ['error', 'message'],
  properties: {
    error: { type: 'string', description: 'Name of the error.' },
    message: {
      type: 'string',
      description: 'What is wrong and what to do. The text is fixed and has no data of the request.',
    },
    currentEpoch: {
      type: 'integer',
      minimum: 0,
      description: 'Only for EpochMismatch: the current epoch of the conversation.',
    },
  },
};

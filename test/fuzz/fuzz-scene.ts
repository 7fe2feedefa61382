import { required } from '#platform/errors.ts';
import * as mls from '#xrpc/lexicon/blue/catbird/mls.ts';
import { authorization, roles } from '../contract/authorization.ts';
import type { AuthorizedMethod, Role } from '../contract/authorization.ts';
import { sceneCalls } from '../support/clients/authorization-calls.ts';
import { gatherCast, newScene } from '../support/clients/authorization-fixture.ts';
import type { Cast, Scene } from '../support/clients/authorization-fixture.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RawRequest, XrpcClient } from '../support/clients/xrpc-client.ts';
import type { AnswerRules } from './check-answer.ts';
import type { FuzzMethod, Json, JsonObject, ObjectSchema } from './lexicon-schema.ts';
import type { FuzzCaller } from './run-cases.ts';

type CalledMethod = keyof typeof sceneCalls;

/** Scenes played with one cast; people have limits of their own, on devices and on requests to chat. */
const scenesPerCast = 12;
const tokenLifeMs = 30_000;

/** Settings of the server under test: one token serves many requests, for signing them would cost more than answering. */
export const fuzzEnvironment = { ENFORCE_JTI: 'false', BLOCK_CHECKS: 'true', RATE_LIMIT_IP_BURST: '10000' } as const;

/** People with conversations, devices, requests and reports, for every method to be called about. */
export class FuzzScenes {
  readonly #bed: TestBed;
  readonly #pds: LoopbackPds;
  #cast: Cast | undefined;
  #scenes = 0;

  constructor(bed: TestBed, pds: LoopbackPds) {
    this.#bed = bed;
    this.#pds = pds;
  }

  /** Callers in a new conversation: first one who may call `method`, then another who may, then one who may not. */
  async callers(method: FuzzMethod): Promise<readonly FuzzCaller[]> {
    try {
      return await this.#callersNow(method);
    } catch {
      // What was sent meanwhile may have used up somebody, so others play their part.
      this.#cast = undefined;
      return this.#callersNow(method);
    }
  }

  async #callersNow(method: FuzzMethod): Promise<readonly FuzzCaller[]> {
    if (this.#cast === undefined || this.#scenes++ % scenesPerCast === 0)
      this.#cast = await gatherCast(this.#bed, this.#pds, aCursor);
    const scene = await newScene(this.#cast);
    const row = authorization[method.name as AuthorizedMethod];
    const allowed = roles.filter((role) => row[role] === 'ok');
    const chosen = [allowed.at(-1), allowed[0], roles.find((role) => row[role] !== 'ok')];
    const callers: FuzzCaller[] = [];
    for (const role of new Set(chosen)) if (role !== undefined) callers.push(await callerOf(method, scene, role));
    return callers;
  }
}

async function aCursor(client: XrpcClient): Promise<string> {
  const conversation = await createCraftedConversation(client, []);
  const stream = await openEventStream(client, { convoId: conversation.convoId });
  await sendCrafted(client, conversation);
  const { cursor } = await stream.next('messageEvent');
  await stream.close();
  return cursor;
}

async function callerOf(method: FuzzMethod, scene: Scene, role: Role): Promise<FuzzCaller> {
  const client = scene.cast.clients[role];
  const honest = await honestInput(method, scene, role);
  const everybody = [...Object.values(scene.cast.clients), scene.cast.deputy, scene.cast.bystander];
  const caller = {
    honest,
    pool: {
      dids: everybody.map(({ did }) => did),
      fields: {
        ...Object.fromEntries(Object.entries(honest).map(([name, value]) => [name, [value]])),
        convoId: [scene.convoId],
        groupId: [scene.convoId],
        deviceId: [scene.deviceId],
        cursor: [scene.cast.cursor],
      },
    },
  };
  if (method.kind !== 'subscription') return { ...caller, token: tokens(client, method.name) };
  const ticket = async (): Promise<string> => (await client.call('getSubscriptionTicket', {})).ticket;
  return { ...caller, token: async () => undefined, ticket };
}

/** Tokens that serve for half a minute each. */
function tokens(client: XrpcClient, method: string): () => Promise<string> {
  let token = '';
  let madeAtMs = -Infinity;
  return async () => {
    if (performance.now() - madeAtMs > tokenLifeMs) {
      token = client.token(method);
      madeAtMs = performance.now();
    }
    return token;
  };
}

async function honestInput(method: FuzzMethod, scene: Scene, role: Role): Promise<JsonObject> {
  if (!(method.name in sceneCalls)) return { convoId: scene.convoId, cursor: scene.cast.cursor };
  const request: RawRequest = await sceneCalls[method.name as CalledMethod](scene, role);
  if (typeof request.body === 'string') return JSON.parse(request.body) as JsonObject;
  return method.input === undefined ? {} : fromSearch(method.input, new URLSearchParams(request.search));
}

function fromSearch(schema: ObjectSchema, search: URLSearchParams): JsonObject {
  const entries = Object.entries(schema.properties).flatMap(([name, field]): [string, Json][] => {
    const values = search.getAll(name);
    const [first] = values;
    if (first === undefined) return [];
    if (field.type === 'array') return [[name, values]];
    return [[name, field.type === 'string' ? first : (JSON.parse(first) as Json)]];
  });
  return Object.fromEntries(entries);
}

interface Validated {
  readonly main: {
    readonly output: { readonly schema?: { safeValidate(value: unknown): { success: boolean } } | undefined };
  };
}

/** Answers are judged by the validators that the lexicons generate. */
export function answerRules(method: FuzzMethod, durationMsMax: number): AnswerRules {
  const modules = mls as unknown as Readonly<Record<string, Validated | undefined>>;
  const { main } = required(modules[method.name], 'lexicon');
  return { durationMsMax, outputFits: (output) => main.output.schema?.safeValidate(output).success ?? true };
}

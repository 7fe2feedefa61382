import { required } from '#platform/errors.ts';
import * as mls from '#xrpc/lexicon/blue/catbird/mls.ts';
import { authorization, roles } from '../contract/authorization.ts';
import type { AuthorizedMethod, Role } from '../contract/authorization.ts';
import { methodCalls } from '../support/clients/authorization-calls.ts';
import { createParticipants, createConversationFixture, readCursor } from '../support/clients/authorization-fixture.ts';
import type { Participants, ConversationFixture } from '../support/clients/authorization-fixture.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RawRequest, XrpcClient } from '../support/clients/xrpc-client.ts';
import type { ResponseRules } from './check-response.ts';
import type { FuzzMethod, Json, JsonObject, ObjectSchema } from './lexicon-schema.ts';
import type { FuzzCaller } from './run-cases.ts';

type CalledMethod = keyof typeof methodCalls;

/** Conversations with the same participants; more would reach the limits of devices and chat requests per person. */
const fixturesPerParticipants = 12;
const tokenLifeMs = 30_000;

/** Settings of the tested server: one token is used for many requests, because signing takes longer than responding. */
export const fuzzEnvironment = { ENFORCE_JTI: 'false', BLOCK_CHECKS: 'true', RATE_LIMIT_IP_BURST: '10000' } as const;

/** Creates people with conversations, devices, requests and reports, so that every method has data to be called about. */
export class FuzzFixtures {
  readonly #bed: TestBed;
  readonly #pds: LoopbackPds;
  #participants: Participants | undefined;
  #fixtures = 0;

  constructor(bed: TestBed, pds: LoopbackPds) {
    this.#bed = bed;
    this.#pds = pds;
  }

  /** Returns callers in a new conversation: two who may call `method`, then one who may not. */
  async callers(method: FuzzMethod): Promise<readonly FuzzCaller[]> {
    try {
      return await this.#callersNow(method);
    } catch {
      // The requests sent so far may have reached a limit of a participant, so the next try uses new ones.
      this.#participants = undefined;
      return this.#callersNow(method);
    }
  }

  async #callersNow(method: FuzzMethod): Promise<readonly FuzzCaller[]> {
    if (this.#participants === undefined || this.#fixtures++ % fixturesPerParticipants === 0)
      this.#participants = await createParticipants(this.#bed, this.#pds, readCursor);
    const fixture = await createConversationFixture(this.#participants);
    const row = authorization[method.name as AuthorizedMethod];
    const allowed = roles.filter((role) => row[role] === 'ok');
    const chosen = [allowed.at(-1), allowed[0], roles.find((role) => row[role] !== 'ok')];
    const callers: FuzzCaller[] = [];
    for (const role of new Set(chosen)) if (role !== undefined) callers.push(await callerOf(method, fixture, role));
    return callers;
  }
}

async function callerOf(method: FuzzMethod, fixture: ConversationFixture, role: Role): Promise<FuzzCaller> {
  const client = fixture.participants.clients[role];
  const validInput = await validInputOf(method, fixture, role);
  const clients = [
    ...Object.values(fixture.participants.clients),
    fixture.participants.otherAdmin,
    fixture.participants.otherMember,
  ];
  const caller = {
    validInput,
    pool: {
      dids: clients.map(({ did }) => did),
      fields: {
        ...Object.fromEntries(Object.entries(validInput).map(([name, value]) => [name, [value]])),
        convoId: [fixture.convoId],
        groupId: [fixture.convoId],
        deviceId: [fixture.deviceId],
        cursor: [fixture.participants.cursor],
      },
    },
  };
  if (method.kind !== 'subscription') return { ...caller, token: tokens(client, method.name) };
  const ticket = async (): Promise<string> => (await client.call('getSubscriptionTicket', {})).ticket;
  return { ...caller, token: async () => undefined, ticket };
}

/** Returns tokens that are used for 30 seconds each. */
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

async function validInputOf(method: FuzzMethod, fixture: ConversationFixture, role: Role): Promise<JsonObject> {
  if (!(method.name in methodCalls)) return { convoId: fixture.convoId, cursor: fixture.participants.cursor };
  const request: RawRequest = await methodCalls[method.name as CalledMethod](fixture, role);
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

/** Returns rules that check responses with the validators generated from the lexicons. */
export function responseRules(method: FuzzMethod, durationMsMax: number): ResponseRules {
  const modules = mls as unknown as Readonly<Record<string, Validated | undefined>>;
  const { main } = required(modules[method.name], 'lexicon');
  return { durationMsMax, outputFits: (output) => main.output.schema?.safeValidate(output).success ?? true };
}

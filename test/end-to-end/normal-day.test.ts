import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MethodName } from '#client/api/methods.ts';
import { systemClock } from '#platform/clock.ts';
import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createAccount } from '../support/clients/account.ts';
import { craftedSuite, craftMessage } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { openRawSocket } from '../support/clients/raw-streams.ts';
import type { RawSocket } from '../support/clients/raw-streams.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';
import { startTestServer } from '../support/test-server.ts';
import type { TestServer } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf, rawRequest } from '../support/clients/xrpc-client.ts';
import type { RawResponse, RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';

let database: TestDatabase;
let plc: LoopbackPlc;
const identityKey = newKeyRingText();
beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 1 });
  plc = await startLoopbackPlc();
});
afterAll(async () => {
  await plc.close();
  await database.close();
});

/** Shows the simulated time of day; `sleep` takes real time, so that background tasks continue. */
interface DayClock extends Clock {
  readonly second: () => number;
  goTo(second: number): void;
}

function createDayClock(): DayClock {
  const morningMs = Date.now();
  let second = 0;
  const nowMs = (): number => morningMs + second * 1_000;
  return {
    second: () => second,
    nowMs,
    monotonicMs: nowMs,
    sleep: (delayMs, signal) => systemClock.sleep(delayMs, signal),
    goTo: (next) => void (second = next),
  };
}

/** The same numbers in each run, from 0 up to `below`. */
function createDice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Person {
  readonly client: XrpcClient;
  readonly conversations: CraftedConversation[];
  device: MlsDevice | undefined;
  stream: RawSocket | undefined;
  calls: number;
}

/** The results of a day: responses by `method status error`, and the calls of each person. */
interface Day {
  readonly answers: ReadonlyMap<string, number>;
  readonly people: readonly Person[];
}

const minute = 60;

/** A day of people who share one address: steps by the second in which they run. */
class DayPlay {
  readonly #clock: DayClock;
  readonly #dice = createDice(7);
  readonly #steps = new Map<number, (() => Promise<void>)[]>();
  readonly #answers = new Map<string, number>();
  readonly people: readonly Person[];

  constructor(server: TestServer, clock: DayClock, count: number) {
    this.#clock = clock;
    this.people = Array.from({ length: count }, (_, index) => {
      const account = createAccount(plc, { curve: index % 2 === 0 ? 'secp256k1' : 'p256' });
      return {
        client: createXrpcClient({ server, account }),
        conversations: [],
        device: undefined,
        stream: undefined,
        calls: 0,
      };
    });
  }

  async run(): Promise<Day> {
    // Everyone starts within ten minutes, as in an office or at a school.
    for (const person of this.people) this.#plan(this.#dice(10 * minute), () => this.#startPhone(person));
    for (let first = 0; first < this.people.length; first += 5)
      this.#planGroup(this.people.slice(first, first + 5), 12);
    for (let first = 0; first < this.people.length; first += 2)
      this.#planGroup(this.people.slice(first, first + 2), 16);
    for (const [index, person] of this.people.entries()) {
      if (index % 2 === 0) this.#plan((22 + this.#dice(10)) * minute + this.#dice(minute), () => this.#talk(person));
      this.#plan((40 + this.#dice(10)) * minute + this.#dice(minute), () => this.#openAppAgain(person));
    }
    for (let second = 0; this.#steps.size > 0; second++) {
      const steps = this.#steps.get(second) ?? [];
      this.#steps.delete(second);
      this.#clock.goTo(second);
      await Promise.all(steps.map((step) => step()));
    }
    await Promise.all(this.people.map(async ({ stream }) => stream?.close()));
    return { answers: this.#answers, people: this.people };
  }

  #plan(second: number, step: () => Promise<void>): void {
    this.#steps.set(second, [...(this.#steps.get(second) ?? []), step]);
  }

  /** Registers the device, and then sends all requests of an app start at once. */
  async #startPhone(person: Person): Promise<void> {
    const { did } = person.client;
    person.device = await MlsDevice.create(did, craftedSuite);
    await this.#call(person, 'registerDevice', {
      deviceName: 'phone',
      signaturePublicKey: person.device.signaturePublicKey,
      keyPackages: await newPackages(person.device, 1),
    });
    await Promise.all([
      this.#publish(person, 1),
      this.#call(person, 'optIn', {}),
      this.#call(person, 'getConvos', {}),
      this.#call(person, 'getKeyPackageStats', {}),
      this.#call(person, 'getPendingDeviceAdditions', {}),
      this.#call(person, 'getRequestCount', {}),
      this.#listen(person),
    ]);
  }

  #planGroup(members: readonly Person[], fromMinute: number): void {
    const [creator, ...others] = members;
    if (creator === undefined || others.length === 0) return;
    const at = fromMinute * minute + this.#dice(4 * minute);
    this.#plan(at, async () => {
      const dids = others.map(({ client }) => client.did);
      await this.#call(creator, 'getKeyPackages', { dids, cipherSuite: craftedSuite });
      const groupId = newSecret(16);
      const conversation = { convoId: groupId.toString('hex'), groupId };
      await this.#call(creator, 'createConvo', {
        groupId: conversation.convoId,
        cipherSuite: craftedSuite,
        initialMembers: dids,
      });
      for (const member of members) member.conversations.push(conversation);
    });
    for (const member of members) {
      this.#plan(at + 1 + this.#dice(3), async () => {
        await this.#call(member, 'getConvos', {});
        await this.#catchUp(member);
      });
    }
  }

  /** Sends two messages within a few seconds; the phones of the others fetch each of them. */
  async #talk(person: Person): Promise<void> {
    const conversation = person.conversations[this.#dice(person.conversations.length)];
    if (conversation === undefined) return;
    const now = this.#clock.second();
    for (const after of [1, 4]) {
      this.#plan(now + after, async () => {
        await this.#call(person, 'sendMessage', craftMessage(conversation));
      });
      for (const other of this.people.filter((one) => one !== person && one.conversations.includes(conversation))) {
        this.#plan(now + after + 1 + this.#dice(2), () => this.#fetch(other, conversation));
      }
    }
  }

  async #openAppAgain(person: Person): Promise<void> {
    await Promise.all([
      this.#listen(person),
      this.#call(person, 'getConvos', {}),
      this.#call(person, 'getKeyPackageStats', {}),
      this.#publish(person, 1),
      this.#catchUp(person),
    ]);
  }

  async #listen(person: Person): Promise<void> {
    const ticket = await this.#call(person, 'getSubscriptionTicket', {});
    await person.stream?.close();
    if (ticket !== undefined) person.stream = await openRawSocket(person.client, { ticket: ticketIn(ticket) });
  }

  async #publish(person: Person, count: number): Promise<void> {
    if (person.device === undefined) return;
    await this.#call(person, 'publishKeyPackages', { keyPackages: await newPackages(person.device, count) });
  }

  async #catchUp(person: Person): Promise<void> {
    await Promise.all(person.conversations.map((conversation) => this.#fetch(person, conversation)));
  }

  async #fetch(person: Person, { convoId }: CraftedConversation): Promise<void> {
    await this.#call(person, 'getMessages', { convoId });
  }

  /** @returns the body of a 200 response. */
  async #call<Name extends MethodName>(
    person: Person,
    name: Name,
    request: RequestOf<Name>,
  ): Promise<string | undefined> {
    let answer = await this.#send(person, name, request);
    // A machine that is busy with other tests may shed load, which is not a quota refusal.
    for (let tries = 1; tries < 20 && answer.status === 503; tries++) {
      await systemClock.sleep(250);
      answer = await this.#send(person, name, request);
    }
    person.calls++;
    const outcome = answer.status === 200 ? 'ok' : `${name} ${answer.status} ${String(errorNameOf(answer))}`;
    this.#answers.set(outcome, (this.#answers.get(outcome) ?? 0) + 1);
    return answer.status === 200 ? answer.text : undefined;
  }

  async #send<Name extends MethodName>({ client }: Person, name: Name, request: RequestOf<Name>): Promise<RawResponse> {
    const nowSeconds = Math.floor(this.#clock.nowMs() / 1_000);
    const { account, server } = client;
    const token = account.mintToken({ aud: server.serviceDid, lxm: `blue.catbird.mls.${name}` }, { nowSeconds });
    return client.raw(name, { ...rawRequest(name, request), token });
  }
}

async function newPackages(
  device: MlsDevice,
  count: number,
): Promise<{ keyPackage: string; cipherSuite: string; expires: `${string}Z` }[]> {
  const expires = new Date(Date.now() + 86_400_000).toISOString() as `${string}Z`;
  const packages = [];
  for (let made = 0; made < count; made++) {
    const { bytes } = await device.createKeyPackage();
    packages.push({ keyPackage: Buffer.from(bytes).toString('base64'), cipherSuite: craftedSuite, expires });
  }
  return packages;
}

function ticketIn(answer: string): string {
  return (JSON.parse(answer) as { ticket: string }).ticket;
}

const defaultQuotas: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries<Setting>(settings).flatMap(([name, { fallback }]) =>
    name.startsWith('RATE_LIMIT_') && fallback !== undefined ? [[name, fallback]] : [],
  ),
);

async function playDay(peopleCount: number, quotas: Readonly<Record<string, string>> = {}): Promise<Day> {
  const clock = createDayClock();
  const server = await startTestServer({
    databaseUrl: database.url,
    plcUrl: plc.url,
    clock,
    identityKey,
    env: { ...defaultQuotas, ...quotas },
  });
  try {
    return await new DayPlay(server, clock, peopleCount).run();
  } finally {
    await server.stop();
  }
}

const refusals = ({ answers }: Day): Record<string, number> =>
  Object.fromEntries([...answers].filter(([outcome]) => outcome !== 'ok'));

test('a normal day of 200 people behind one address exceeds no limit', { timeout: 150_000 }, async () => {
  const day = await playDay(200);
  expect(refusals(day)).toEqual({});
  const calls = day.people.map((person) => person.calls);
  expect(Math.min(...calls)).toBeGreaterThanOrEqual(15);
  console.info(`${day.answers.get('ok')} answers, from ${Math.min(...calls)} to ${Math.max(...calls)} calls each`);
});

test.each([
  ['the address', { RATE_LIMIT_IP_BURST: '3' }],
  ['getMessages', { RATE_LIMIT_GET_MESSAGES: '2' }],
  ['sendMessage', { RATE_LIMIT_SEND_MESSAGE: '1' }],
  ['everything else', { RATE_LIMIT_DID_DEFAULT: '2' }],
])('a limit on %s that is too low causes refusals on the same day', async (_whose, quotas) => {
  const refused = Object.entries(refusals(await playDay(10, quotas)));
  expect(refused.some(([outcome]) => outcome.includes(' 429 RateLimitExceeded'))).toBe(true);
});

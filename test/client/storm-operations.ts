import { ApiError } from '#client/api/api-error.ts';
import type { ServerAddress } from '../support/clients/xrpc-client.ts';
import type { TestBed } from '../support/test-server.ts';
import type { Account } from '../support/clients/account.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { openPerson } from './person.ts';
import type { TestPerson } from './person.ts';

/** How often each operation was tried, and how often it succeeded. */
export type Tally = Map<string, { tried: number; done: number }>;

/** One device in the storm. */
export interface StormDevice {
  person: TestPerson;
  readonly account: Account;
  /** The person is removed, leaves and comes back; the others stay members of everything. */
  readonly isMoving: boolean;
  /** Seq and text of each message that an earlier process of this device has given to the app. */
  readonly earlier: TestPerson[];
}

export interface Storm {
  readonly bed: TestBed;
  readonly server: ServerAddress;
  readonly devices: StormDevice[];
  readonly convoIds: readonly string[];
  readonly tally: Tally;
  /** Texts whose sending was confirmed, by conversation; a text of a person who is removed meanwhile may get lost. */
  readonly confirmed: Map<string, string[]>;
  /** Texts of people who stay, whose sending a cut connection has hidden. */
  readonly unconfirmed: Map<string, string[]>;
  readonly unexpected: unknown[];
}

/** Every device makes the storm slower. */
const devicesMax = 10;

export const pick = <Value>(values: readonly Value[]): Value => {
  const value = values[Math.floor(Math.random() * values.length)];
  if (value === undefined) throw new RangeError('there is nothing to choose from');
  return value;
};

/** Errors that the network or another member's change explains. */
const expectedNames = new Set([
  'ClosedError',
  'NoResponseError',
  'NotInGroupError',
  'NoKeyPackageError',
  'JoinPendingError',
  'TooManyEpochRacesError',
  'LostGroupError',
]);
const expectedResponses = new Set([
  'AlreadyMember',
  'ConvoNotFound',
  'InvalidCommit',
  'KeyPackageNotFound',
  'NotMember',
  'TargetNotMember',
]);

function isExpected(error: unknown): boolean {
  if (error instanceof ApiError) return expectedResponses.has(error.error);
  return error instanceof Error && expectedNames.has(error.name);
}

const tries: Readonly<Record<string, (storm: Storm, device: StormDevice, convoId: string) => Promise<unknown>>> = {
  update: (_storm, { person }, convoId) => person.messenger.updateKeys(convoId),
  rejoin: (_storm, { person }, convoId) => person.messenger.rejoin(convoId),
  remove: ({ devices }, _device, convoId) =>
    (devices[0] as StormDevice).person.messenger.removeMember(convoId, movingMember(devices, convoId, true)),
  add: ({ devices }, _device, convoId) =>
    pick(devices.filter(({ isMoving }) => !isMoving)).person.messenger.addMembers(convoId, [
      movingMember(devices, convoId, false),
    ]),
  leave: ({ devices }, _device, convoId) =>
    pick(devices.filter(({ isMoving }) => isMoving)).person.messenger.leave(convoId),
  restart: (storm, device) => restart(storm, device),
  'new device': (storm) => addDevice(storm),
};

/** A person who moves and is, or is not, in the group as the first device sees it. */
function movingMember(devices: readonly StormDevice[], convoId: string, isMember: boolean): string {
  const members = devices[0]?.person.messenger.group(convoId)?.members ?? [];
  const moving = devices.filter((each) => each.isMoving).map(({ account }) => account.did);
  const found = moving.filter((did) => members.includes(did) === isMember);
  return found.length === 0 ? pick(moving) : pick(found);
}

async function restart(storm: Storm, device: StormDevice): Promise<void> {
  const { person, account } = device;
  await person.messenger.close();
  device.earlier.push(person);
  device.person = await openStormPerson(storm.server, account, person.storage);
}

async function addDevice(storm: Storm): Promise<void> {
  const owner = pick(storm.devices.filter(({ isMoving }) => !isMoving));
  if (storm.devices.length >= devicesMax) return;
  const { account } = owner;
  const person = await openStormPerson(storm.server, account, createMemoryStorage());
  storm.devices.push({ person, account, isMoving: false, earlier: [] });
}

/** Opens a device; while a new one cannot be registered, the app tries again with the same storage. */
export async function openStormPerson(
  server: ServerAddress,
  account: Account,
  storage: TestPerson['storage'],
): Promise<TestPerson> {
  for (;;) {
    try {
      return await openPerson({
        account,
        server,
        storage,
        timeoutMs: 1_500,
        stream: { waitMaxMs: 200, idleTimeoutMs: 2_000 },
        keyPackageTarget: 6,
      });
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
  }
}

async function send(storm: Storm, device: StormDevice, convoId: string, text: string): Promise<void> {
  const of = (texts: Map<string, string[]>): string[] => texts.get(convoId) ?? [];
  try {
    await device.person.say(convoId, text);
    if (!device.isMoving) of(storm.confirmed).push(text);
  } catch (error) {
    if (!device.isMoving) of(storm.unconfirmed).push(text);
    throw error;
  }
}

/** Runs one random operation of `device`; `number` makes its text unique. */
export async function runOperation(storm: Storm, device: StormDevice, number: number): Promise<void> {
  const convoId = pick(storm.convoIds);
  const chance = Math.random();
  const names = ['update', 'update', 'rejoin', 'remove', 'add', 'add', 'leave', 'restart', 'new device'];
  const name = chance < 0.6 ? 'send' : pick(names);
  const counts = storm.tally.get(name) ?? { tried: 0, done: 0 };
  storm.tally.set(name, counts);
  counts.tried += 1;
  try {
    if (name === 'send') await send(storm, device, convoId, `${storm.devices.indexOf(device)}/${number}`);
    else await tries[name]?.(storm, device, convoId);
    counts.done += 1;
  } catch (error) {
    if (!isExpected(error)) storm.unexpected.push(error);
  }
}

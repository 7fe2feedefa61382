import { beforeAll, expect, test } from 'vitest';
import type { DeviceIdentity, GroupChange, GroupState, MlsEngine, OwnKeyPackage } from '#client/mls/mls-engine.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';

let engine: MlsEngine;

beforeAll(async () => {
  engine = await createTsMlsEngine();
});

interface Device {
  readonly identity: DeviceIdentity;
  state: GroupState;
}

const newKeyPackage = (identity: DeviceIdentity): Promise<OwnKeyPackage> =>
  engine.createKeyPackage(identity, { isLastResort: false });

/** Commits by `by`; all others process it. */
async function commit(
  devices: readonly Device[],
  by: Device,
  changes: readonly GroupChange[],
): Promise<Uint8Array | undefined> {
  const pending = await engine.commit(by.state, changes);
  for (const device of devices) {
    if (device !== by) device.state = (await engine.process(device.state, pending.commit)).nextState;
  }
  by.state = pending.nextState;
  return pending.welcome;
}

async function add(devices: Device[], by: Device, did: string): Promise<Device> {
  const identity = await engine.createIdentity(did);
  const keyPackage = await newKeyPackage(identity);
  const welcome = await commit(devices, by, [{ kind: 'add', keyPackage: keyPackage.keyPackage }]);
  const joined = { identity, state: await engine.joinByWelcome(welcome ?? new Uint8Array(), keyPackage) };
  devices.push(joined);
  return joined;
}

/** A group of eight in which the node above the last four leaves lists an unmerged leaf that the root does not list any more. */
async function groupWithUnmergedLeaf(): Promise<Device[]> {
  const identity = await engine.createIdentity('did:plc:a');
  const first = { identity, state: await engine.createGroup(identity, Uint8Array.of(1, 2, 3)) };
  const devices: Device[] = [first];
  for (let count = 1; count < 7; count++) await add(devices, first, `did:plc:${count}`);
  await commit(devices, devices[4] as Device, []);
  await add(devices, first, 'did:plc:7');
  await commit(devices, devices[1] as Device, []);
  return devices;
}

async function expectOneGroup(devices: readonly Device[]): Promise<void> {
  const [first, ...others] = devices as [Device, ...Device[]];
  const { message } = await engine.encrypt(first.state, Uint8Array.of(7));
  for (const { state } of others) {
    const processed = await engine.process(state, message);
    expect(processed).toMatchObject({ kind: 'application', content: Uint8Array.of(7), senderDid: 'did:plc:a' });
  }
}

test('a device joins by a Welcome where the lists of unmerged leaves of two nodes differ', async () => {
  const devices = await groupWithUnmergedLeaf();
  await add(devices, devices[1] as Device, 'did:plc:e');
  await expectOneGroup(devices);
});

test('a device joins by an external commit where the lists of unmerged leaves of two nodes differ', async () => {
  const devices = await groupWithUnmergedLeaf();
  const identity = await engine.createIdentity('did:plc:e');
  const joining = await engine.joinExternally(await engine.exportGroupInfo((devices[0] as Device).state), identity);
  for (const device of devices) device.state = (await engine.process(device.state, joining.commit)).nextState;
  devices.push({ identity, state: joining.nextState });
  await expectOneGroup(devices);
  await commit(devices, devices[8] as Device, []);
  await expectOneGroup(devices);
});

test('a GroupInfo whose tree or signature was changed is refused', async () => {
  const devices = await groupWithUnmergedLeaf();
  const identity = await engine.createIdentity('did:plc:e');
  const groupInfo = await engine.exportGroupInfo((devices[0] as Device).state);
  for (const position of [0.3, 0.5, 0.7, 0.99]) {
    const changed = groupInfo.slice();
    const index = Math.floor(changed.length * position);
    changed[index] = (changed[index] ?? 0) ^ 1;
    await expect(engine.joinExternally(changed, identity)).rejects.toBeInstanceOf(Error);
  }
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readerPhrases, refusalReasons } from '#domain/refusal-reasons.ts';
import { required } from '#platform/errors.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { craftedSuite, createCraftedConversation, craftMessage } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftApplication, craftCommit, craftExternalCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';

/** The inputs change every day and stay the same within a day. */
const seed = Number(process.env['FUZZ_SEED'] ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const variants = 12;
const canary = 'KestrelZq9x';
const expires = new Date(Date.now() + 86_400_000).toISOString() as `${string}Z`;

let bed: TestBed;
let alice: XrpcClient;
let nonMember: XrpcClient;
let conversation: CraftedConversation;
let device: MlsMember;
let groupInfo: Uint8Array;
let keyPackage: Uint8Array;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, nonMember] = [bed.client(), bed.client()];
  conversation = await createCraftedConversation(alice, []);
  device = await MlsMember.create({ did: alice.did, cipherSuite: craftedSuite });
  keyPackage = (await device.createKeyPackage()).bytes;
  const group = device.inAnotherGroup();
  await group.createGroup(conversation.groupId);
  groupInfo = await group.exportGroupInfo();
});
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Generates `count` different values, the same ones for the same seed. */
function some<Value>(arbitrary: fc.Arbitrary<Value>, count = variants): Value[] {
  return fc.sample(arbitrary, { numRuns: count, seed });
}

type Send = RequestOf<'sendMessage'>;

/** Puts a message into the padding envelope: its length, the message, and zeros. */
function enveloped(message: Uint8Array): Buffer {
  const sizeBytes = [512, 1_024, 2_048, 4_096, 8_192, 16_384].find((size) => size >= message.length + 4) ?? 0;
  const padded = Buffer.alloc(sizeBytes);
  padded.writeUInt32BE(message.length);
  padded.set(message, 4);
  return padded;
}

const sent = (ciphertext: Buffer, more: Partial<Send> = {}): Send => ({
  ...craftMessage(conversation),
  ciphertext,
  paddedSize: ciphertext.length,
  ...more,
});
const validMessage = (): Buffer => craftApplication(conversation.groupId, 0);
const changed = (change: (padded: Buffer, sizeBytes: number) => void): Buffer => {
  const padded = validMessage();
  change(padded, padded.readUInt32BE());
  return padded;
};

const byReader = (text: string): string =>
  `${readerPhrases.InvalidAsset.lead} ${text} ${readerPhrases.InvalidAsset.remedy}`;
const assets = refusalReasons.InvalidAsset;
const notIds = fc
  .string({ unit: fc.constantFrom(...'0123456789abcdefZQ-_ {}'.split('')), maxLength: 30 })
  .filter((id) => id.length !== 26)
  .map((id) => `${canary}${id}`.slice(0, 36))
  .filter((id) => !/^[0-9A-Za-z]{26}$/.test(id));

/** The rules of sendMessage, each with its text and inputs that break only this rule. */
const sendRules: readonly (readonly [rule: string, text: string, inputs: () => Send[]])[] = [
  ['the form of msgId', assets.msgIdForm, () => some(notIds).map((msgId) => sent(validMessage(), { msgId }))],
  [
    'paddedSize is a bucket',
    assets.noBucket,
    () =>
      some(fc.integer({ min: 513, max: 20_000 }).filter((size) => size % 512 !== 0)).map((size) =>
        sent(Buffer.alloc(size, 1)),
      ),
  ],
  [
    'ciphertext fills paddedSize',
    assets.notPaddedSize,
    () =>
      some(fc.constantFrom(1_024, 2_048, 4_096, 8_192, 16_384)).map((paddedSize) =>
        sent(validMessage(), { paddedSize }),
      ),
  ],
  [
    'an MLSMessage or an envelope',
    'neither an MLSMessage nor the padding envelope',
    () =>
      some(fc.uint8Array({ minLength: 512, maxLength: 512 })).map((bytes) => sent(Buffer.from(bytes).fill(9, 4, 8))),
  ],
  [
    'a length that is too large',
    byReader('The length in front of the MLSMessage is larger than the message that follows.'),
    () =>
      some(fc.integer({ min: 509, max: 2 ** 32 - 1 })).map((length) => sent(changed((p) => p.writeUInt32BE(length)))),
  ],
  [
    'a wrong length',
    byReader('The length in front of the MLSMessage is not its length.'),
    () =>
      some(fc.integer({ min: -140, max: 300 }).filter((by) => by !== 0)).map((by) =>
        sent(changed((padded, sizeBytes) => padded.writeUInt32BE(sizeBytes + by))),
      ),
  ],
  [
    'padding of zeros',
    byReader('The padding behind the MLSMessage is not all zeros.'),
    () =>
      some(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 255 }))).map(([at, octet]) =>
        sent(changed((padded, sizeBytes) => padded.writeUInt8(octet, 4 + sizeBytes + at))),
      ),
  ],
  [
    'the group of the call',
    'The message is of another MLS group than convoId names.',
    () =>
      some(fc.uint8Array({ minLength: 1, maxLength: 64 })).map((groupId) =>
        sent(craftApplication(Buffer.concat([groupId, Buffer.from(canary)]), 0)),
      ),
  ],
  [
    'the epoch of the call',
    'The message is of another MLS epoch than the field epoch names.',
    () =>
      some(fc.integer({ min: 1, max: 2 ** 48 })).map((epoch) => sent(craftApplication(conversation.groupId, epoch))),
  ],
  [
    'no commit',
    'The message is an MLS commit; send',
    () => some(fc.nat({ max: 9 })).map((epoch) => sent(enveloped(craftCommit(conversation.groupId, epoch)))),
  ],
  [
    'no Welcome',
    assets.isWelcome,
    () =>
      some(fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 3 })).map((refs) =>
        sent(enveloped(craftWelcome(refs))),
      ),
  ],
  ['no GroupInfo', assets.isGroupInfo, () => [sent(enveloped(wrapped(4, groupInfo)))]],
  ['no KeyPackage', assets.isKeyPackage, () => [sent(enveloped(wrapped(5, keyPackage)))]],
];

/** Adds the MLSMessage header if `bytes` have none. */
function wrapped(wireFormat: number, bytes: Uint8Array): Buffer {
  const header = Buffer.of(0, 1, 0, wireFormat);
  return header.equals(Buffer.from(bytes).subarray(0, 4)) ? Buffer.from(bytes) : Buffer.concat([header, bytes]);
}

/** Checks that a refusal contains neither the canary nor a longer text of the request. */
function expectNothingEchoed(text: string, request: object): void {
  expect(text).not.toContain(canary);
  for (const value of Object.values(request)) {
    if (typeof value === 'string' && value.length >= 8) expect(text).not.toContain(value);
  }
}

describe(`sendMessage names the rule that a message breaks (FUZZ_SEED=${seed})`, () => {
  test.each(sendRules)('%s', async (_rule, text, inputs) => {
    for (const input of inputs()) {
      for (const delivery of ['persistent', 'ephemeral'] as const) {
        const { error, body } = await alice.refusal('sendMessage', { ...input, delivery });
        expect([error, body['message']], JSON.stringify(input)).toEqual([
          'InvalidAsset',
          expect.stringContaining(text),
        ]);
        expectNothingEchoed(JSON.stringify(body), input);
        const unknown = await nonMember.refusal('sendMessage', { ...input, delivery });
        expect(unknown.body, 'a nonMember learns from it whether the conversation exists').toEqual(body);
      }
    }
  });

  test('a message that breaks no rule is accepted', async () => {
    await expect(alice.call('sendMessage', sent(validMessage()))).resolves.toMatchObject({ seq: expect.any(Number) });
  });
});

describe('commits', () => {
  const reasons = refusalReasons.InvalidCommit;
  const otherGroups = (): Buffer[] =>
    some(fc.uint8Array({ minLength: 1, maxLength: 40 })).map((id) => craftCommit(id, 0));
  const external = (did: string): Buffer => craftExternalCommit({ groupId: conversation.groupId, epoch: 0, did });
  const broken = (): Buffer[] =>
    some(fc.integer({ min: 5, max: 60 })).map((sizeBytes) =>
      craftCommit(conversation.groupId, 0).subarray(0, sizeBytes),
    );
  const notBase64 = (): string[] => some(fc.constantFrom('!', '====', 'A', 'Ł', `${canary}!`, ' AA=='));

  const rules: readonly (readonly [string, string, () => string[]])[] = [
    ['base64', reasons.notBase64, notBase64],
    ['the group of the call', reasons.otherGroup, () => otherGroups().map(base64)],
    ['no external one', reasons.externalCommit, () => [base64(external(alice.did))]],
    ['a readable one', readerPhrases.InvalidCommit.lead, () => broken().map(base64)],
    ['a commit', 'The commit is not an MLS commit.', () => [base64(craftWelcome([newSecret(32)]))]],
  ];
  test.each(rules)('by members: %s', async (_rule, text, inputs) => {
    const { convoId } = conversation;
    for (const commit of inputs()) {
      for (const refused of [
        await alice.refusal('addMembers', { convoId, didList: [alice.did], commit }),
        await alice.refusal('removeMember', {
          convoId,
          targetDid: bed.client().did,
          commit,
          idempotencyKey: newUuid(),
        }),
        await alice.refusal('leaveConvo', { convoId, commit }),
      ]) {
        if (refused.error === 'TargetNotMember' || refused.error === 'LastAdmin') continue;
        expect([refused.error, refused.body['message']]).toEqual(['InvalidCommit', expect.stringContaining(text)]);
        expectNothingEchoed(JSON.stringify(refused.body), { commit });
      }
    }
  });

  const externalRules: readonly (readonly [string, string, () => string[]])[] = [
    ['base64', reasons.notBase64, notBase64],
    ['no member’s', reasons.notExternal, () => [base64(craftCommit(conversation.groupId, 0))]],
    [
      'the identity of the caller',
      reasons.externalIdentity,
      () =>
        some(fc.string({ minLength: 1, maxLength: 20 })).map((more) =>
          base64(external(`${alice.did}${more}${canary}`)),
        ),
    ],
    [
      'the group of the call',
      reasons.otherGroup,
      () => [base64(craftExternalCommit({ groupId: newSecret(16), epoch: 0, did: alice.did }))],
    ],
    ['a readable one', readerPhrases.InvalidCommit.lead, () => broken().map(base64)],
  ];
  test.each(externalRules)('external ones: %s', async (_rule, text, inputs) => {
    for (const externalCommit of inputs()) {
      const refused = await alice.refusal('processExternalCommit', { convoId: conversation.convoId, externalCommit });
      expect([refused.error, refused.body['message']]).toEqual(['InvalidCommit', expect.stringContaining(text)]);
      expectNothingEchoed(JSON.stringify(refused.body), { externalCommit });
    }
  });

  test('a commit that is too large', async () => {
    const externalCommit = base64(Buffer.alloc(limits.messageSizeBytesMax + 1));
    const refused = await alice.refusal('processExternalCommit', { convoId: conversation.convoId, externalCommit });
    expect(refused.body['message']).toBe(reasons.tooLarge);
  });
});

describe('key packages', () => {
  const reasons = refusalReasons.InvalidKeyPackage;
  const uploadOf = (bytes: Uint8Array): RequestOf<'publishKeyPackage'> => ({
    keyPackage: base64(bytes),
    cipherSuite: craftedSuite,
    expires,
  });
  async function madeBy(client: XrpcClient): Promise<Uint8Array> {
    const maker = await MlsMember.create({ did: client.did, cipherSuite: craftedSuite });
    return (await maker.createKeyPackage()).bytes;
  }

  /** Expects the same text when the package is published alone, in a batch, and with registerDevice. */
  async function expectRefused(
    client: XrpcClient,
    upload: RequestOf<'publishKeyPackage'>,
    text: string,
  ): Promise<void> {
    const item = { ...upload, expires: upload.expires ?? expires };
    const one = await client.refusal('publishKeyPackage', upload);
    expect(one.body['message']).toContain(text);
    const { errors } = await client.call('publishKeyPackages', { keyPackages: [item] });
    expect(errors).toEqual([{ index: 0, error: one.error, message: one.body['message'] }]);
    expectNothingEchoed(JSON.stringify([one.body, errors]), upload);
  }

  test('must be base64, not expired, of a supported suite, and complete', async () => {
    const person = bed.client();
    for (const text of some(fc.constantFrom('', '!', '====', `${canary}!`, 'Ł'))) {
      await expectRefused(person, { ...uploadOf(Buffer.alloc(0)), keyPackage: text }, reasons.notBase64);
    }
    const bytes = await madeBy(person);
    for (const past of some(fc.integer({ min: 1, max: 10_000_000 }))) {
      const over = new Date(Date.now() - past * 1_000).toISOString() as `${string}Z`;
      await expectRefused(person, { ...uploadOf(bytes), expires: over }, reasons.expired);
    }
    for (const name of some(fc.string({ maxLength: 20 }).map((more) => `MLS_${canary}${more}`))) {
      const upload = { ...uploadOf(bytes), cipherSuite: name };
      await expectRefused(person, upload, refusalReasons.InvalidCipherSuite.unknownName);
    }
    for (const sizeBytes of some(fc.integer({ min: 1, max: bytes.length - 1 }))) {
      await expectRefused(person, uploadOf(bytes.subarray(0, sizeBytes)), 'The key package cannot be read.');
    }
  });

  test('must belong to the named device or to a registered one; a person without devices gets a hint', async () => {
    const person = bed.client();
    const before = uploadOf(await madeBy(person));
    await expect(person.call('publishKeyPackage', before)).resolves.toEqual({
      warning: expect.stringContaining('No device of yours is registered'),
    });
    const phone = await registerTestDevice(person, { name: 'phone' });
    const laptop = await registerTestDevice(person, { name: 'laptop' });
    for (const { device: maker, deviceId } of [phone, laptop]) {
      await expect(person.call('publishKeyPackage', uploadOf((await maker.createKeyPackage()).bytes))).resolves.toEqual(
        {},
      );
      const named = { ...uploadOf((await maker.createKeyPackage()).bytes), deviceId };
      await expect(person.call('publishKeyPackage', named)).resolves.toEqual({});
    }
    const ofPhone = (await phone.device.createKeyPackage()).bytes;
    const ofNoDevice = await madeBy(person);
    await expectRefused(person, { ...uploadOf(ofPhone), deviceId: laptop.deviceId }, reasons.otherDeviceKey);
    await expectRefused(person, { ...uploadOf(ofNoDevice), deviceId: laptop.deviceId }, reasons.otherDeviceKey);
    await expectRefused(person, uploadOf(ofNoDevice), reasons.unregisteredKey);
    const { convoId } = await createCraftedConversation(person, [alice]);
    for (const [deviceId, text] of [
      [undefined, reasons.unregisteredKey],
      [phone.deviceId, reasons.otherDeviceKey],
    ] as const) {
      const refused = await person.refusal('rejoin', { convoId, keyPackage: base64(ofNoDevice), deviceId });
      expect([refused.error, refused.body['message']]).toEqual(['InvalidKeyPackage', text]);
    }
  });

  test('a device registered again with a new key publishes with that key only, and only its packages are counted', async () => {
    const person = bed.client();
    const uuid = newUuid();
    const old = await registerTestDevice(person, { uuid, packages: 3 });
    const fresh = await registerTestDevice(person, { uuid, packages: 1 });
    expect(fresh.deviceId).toBe(old.deviceId);
    const { devices } = await person.call('listDevices', {});
    expect(devices.map(({ keyPackageCount }) => keyPackageCount)).toEqual([1]);
    const ofOld = uploadOf((await old.device.createKeyPackage()).bytes);
    await expectRefused(person, ofOld, reasons.unregisteredKey);
    await expectRefused(person, { ...ofOld, deviceId: old.deviceId }, reasons.otherDeviceKey);
  });

  test('a device registers with packages of its own signature key; the refusal has the index of the first other one', async () => {
    const person = bed.client();
    const { signaturePublicKey } = required(device.device, 'device');
    const packages = [await madeBy(person), (await madeBy(person)).subarray(0, 90), Buffer.from(canary)];
    const items = packages.map((bytes) => ({ ...uploadOf(bytes), expires }));
    const registration = { deviceName: canary, signaturePublicKey, keyPackages: items.slice(0, 1) };
    const reasonsOfKey = refusalReasons.InvalidSignatureKey;
    const other = await person.refusal('registerDevice', registration);
    expect([other.error, other.body['message']]).toEqual(['InvalidSignatureKey', reasonsOfKey.otherThanKeyPackages]);
    const short = await person.refusal('registerDevice', { ...registration, signaturePublicKey: newSecret(31) });
    expect([short.error, short.body['message']]).toEqual(['InvalidSignatureKey', reasonsOfKey.tooShort]);
    const broken = await person.refusal('registerDevice', { ...registration, keyPackages: items });
    expect(broken.error).toBe('InvalidKeyPackages');
    const largeItem = { ...uploadOf(Buffer.alloc(limits.keyPackageSizeBytesMax + 1)), expires };
    const large = await person.refusal('registerDevice', { ...registration, keyPackages: [largeItem] });
    expect(large.body['message']).toBe(`input.keyPackages[0]: ${reasons.tooLarge}`);
    expect(broken.body['message']).toMatch(/^input\.keyPackages\[1\]: The key package cannot be read\. .+/);
    expectNothingEchoed(JSON.stringify([other.body, short.body, broken.body]), registration);
  });
});

describe('every text', () => {
  const all = Object.values(refusalReasons).flatMap((texts) => Object.values(texts) as string[]);

  test('states the rule and what to do in whole sentences, and belongs to one rule only', () => {
    for (const text of all) expect(text).toMatch(/^\S.{10,}\. [A-Z].{5,}\.$/s);
    expect(new Set(all).size).toBe(all.length);
  });
});

import { decodeMlsMessage } from 'ts-mls';
import { afterAll, expect, test } from 'vitest';
import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import type { MlsVector, MlsVectorFile } from '../../bin/codegen/test-vectors/mls-vectors.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { readVectors } from './read-vectors.ts';
import { openVectorGroup } from './vector-group.ts';

const file = await readVectors<MlsVectorFile>('mls');
const beds: TestBed[] = [];
afterAll(() => Promise.all(beds.map((bed) => bed.stop())));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The cleartext fields as ts-mls reads them; undefined where it cannot. */
function readByTsMls(bytes: Buffer): unknown {
  const message = decodeMlsMessage(bytes, 0)?.[0];
  switch (message?.wireformat) {
    case 'mls_private_message': {
      const { groupId, epoch, contentType } = message.privateMessage;
      return { wireFormat: 'privateMessage', groupId: hex(groupId), epoch: Number(epoch), contentType };
    }
    case 'mls_public_message': {
      const { groupId, epoch, contentType, sender } = message.publicMessage.content;
      const leaf = sender.senderType === 'member' ? { senderLeafIndex: sender.leafIndex } : {};
      const { senderType } = sender;
      const framing = { groupId: hex(groupId), epoch: Number(epoch), contentType, senderType, ...leaf };
      return { wireFormat: 'publicMessage', ...framing };
    }
    case 'mls_welcome': {
      const { cipherSuite, secrets } = message.welcome;
      const keyPackageRefs = secrets.map(({ newMember }) => hex(newMember));
      return { wireFormat: 'welcome', cipherSuite: cipherSuiteNumber(cipherSuite), keyPackageRefs };
    }
    case 'mls_group_info': {
      const { groupId, epoch, cipherSuite } = message.groupInfo.groupContext;
      const suite = cipherSuiteNumber(cipherSuite);
      return { wireFormat: 'groupInfo', groupId: hex(groupId), epoch: Number(epoch), cipherSuite: suite };
    }
    case 'mls_key_package':
      return { wireFormat: 'keyPackage', cipherSuite: cipherSuiteNumber(message.keyPackage.cipherSuite) };
    case undefined:
      return undefined;
  }
}

function wrongFields({ name, bytes, decoded }: MlsVector): string[] {
  if (decoded === null) return [];
  const whole = Buffer.from(bytes, 'hex');
  const isPadded = whole.readUInt16BE(0) === 0;
  const message = isPadded ? whole.subarray(4, 4 + whole.readUInt32BE(0)) : whole;
  const read = readByTsMls(message);
  return JSON.stringify(sorted(read)) === JSON.stringify(sorted(decoded)) ? [] : [`${name}: ${JSON.stringify(read)}`];
}

function sorted(value: unknown): unknown {
  return Object.entries(value ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The vectors for which a new server responds otherwise. */
async function wrongVerdicts(vectors: MlsVectorFile): Promise<string[]> {
  const bed = await startTestBed();
  beds.push(bed);
  const group = openVectorGroup(bed, vectors);
  const wrong: string[] = [];
  for (const vector of vectors.vectors) {
    const { field, name, verdict } = vector;
    const { status, error } = await group.send(vector);
    if (status !== verdict.status || error !== verdict.error) wrong.push(`${field}, ${name}: ${status} ${error ?? ''}`);
  }
  return wrong;
}

test('a server accepts and refuses each MLSMessage of mls.json as the file says', async () => {
  expect(await wrongVerdicts(file)).toEqual([]);
});

test('ts-mls reads the same cleartext fields as mls.json has', () => {
  expect(file.vectors.flatMap(wrongFields)).toEqual([]);
  expect(file.vectors.filter(({ decoded }) => decoded !== null).length).toBeGreaterThan(20);
});

test('wrong vectors are reported', async () => {
  const planted = file.vectors.map((vector): MlsVector => {
    if (vector.name === 'a commit as PrivateMessage' && vector.field === 'sendMessage.ciphertext') {
      return { ...vector, verdict: { status: 200 } };
    }
    if (vector.name === 'a PrivateMessage with application data') {
      return { ...vector, bytes: `${vector.bytes.slice(0, -2)}01`, decoded: { ...vector.decoded, epoch: 2 } };
    }
    return vector;
  });
  expect(await wrongVerdicts({ ...file, vectors: planted })).toEqual([
    'sendMessage.ciphertext, a PrivateMessage with application data: 400 InvalidAsset',
    'sendMessage.ciphertext, a commit as PrivateMessage: 400 InvalidAsset',
  ]);
  expect(planted.flatMap(wrongFields)).toHaveLength(1);
});

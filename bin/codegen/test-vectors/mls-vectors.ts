import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { readMlsMessage } from '#mls/messages/mls-message.ts';
import { accepted, hexOf, made, madeBytes, refusedWith } from './vector-file.ts';
import type { MadeName, VectorFile, Verdict } from './vector-file.ts';

/** A method that takes MLS bytes, and its field with them. */
export type MlsField =
  | 'publishKeyPackage.keyPackage'
  | 'createConvo.welcomeMessage'
  | 'sendMessage.ciphertext'
  | 'updateGroupInfo.groupInfo'
  | 'commit.commit';

export interface MlsVector {
  readonly name: string;
  readonly field: MlsField;
  readonly by: 'alice' | 'bob';
  /** The field `epoch` of sendMessage and updateGroupInfo. */
  readonly epoch?: number;
  /** The field `groupInfo` of commit. */
  readonly groupInfo?: string;
  readonly bytes: string;
  /** The cleartext fields of the MLSMessage in `bytes`; null where there is none. */
  readonly decoded: Readonly<Record<string, unknown>> | null;
  readonly verdict: Verdict;
}

/** `mls.json`: the group, and the vectors in the order in which they are sent. */
export interface MlsVectorFile extends VectorFile<MlsVector> {
  readonly group: {
    readonly groupId: string;
    readonly cipherSuite: string;
    readonly alice: string;
    readonly bob: string;
    readonly keyPackageRef: string;
    readonly groupInfo: string;
  };
}

const prefixSizeBytes = 4;
const headerSizeBytes = 4;
/** Version, wire format, length of the group id, group id: the epoch follows. */
const epochAt = 4 + 1 + 16;

function inEnvelope(message: Buffer): Buffer {
  let size = 512;
  while (size < message.length + prefixSizeBytes) size *= 2;
  const padded = Buffer.alloc(size);
  padded.writeUInt32BE(message.length);
  message.copy(padded, prefixSizeBytes);
  return padded;
}

function changed(bytes: Buffer, at: number, value?: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = value ?? (copy[index] ?? 0) ^ 1;
  return copy;
}

const truncated = (bytes: Buffer): Buffer => bytes.subarray(0, -1);
const extended = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.of(0)]);
const wrapped = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from('00010005', 'hex'), bytes]);
const bare = (bytes: Buffer): Buffer => bytes.subarray(headerSizeBytes);
function inEpoch(bytes: Buffer, epoch: number): Buffer {
  return changed(bytes, epochAt + 7, epoch);
}

/** Hex instead of bytes, and no field that only the service computes. */
function decoded(bytes: Buffer): MlsVector['decoded'] {
  for (const message of [bytes, bytes.subarray(prefixSizeBytes, prefixSizeBytes + bytes.readUInt32BE(0))]) {
    try {
      return plain(readMlsMessage(message));
    } catch (error) {
      if (!(error instanceof MlsFormatError)) throw error;
    }
  }
  return null;
}

const shownFields = ['wireFormat', 'groupId', 'epoch', 'contentType', 'senderType', 'senderLeafIndex', 'cipherSuite'];

function plain(header: object): Record<string, unknown> {
  const shown = Object.entries(header).flatMap(([name, value]: [string, unknown]) => {
    if (name === 'keyPackageRefs') return [[name, (value as Uint8Array[]).map(hexOf)] as const];
    if (!shownFields.includes(name) || value === undefined) return [];
    return [[name, value instanceof Uint8Array ? hexOf(value) : value] as const];
  });
  return Object.fromEntries(shown);
}

type Case = readonly [name: string, bytes: Buffer, verdict: Verdict, more?: Partial<MlsVector>];

function vectors(field: MlsField, by: MlsVector['by'], cases: readonly Case[]): MlsVector[] {
  return cases.map(([name, bytes, verdict, more]) => ({
    name,
    field,
    by,
    ...more,
    bytes: hexOf(bytes),
    decoded: decoded(bytes),
    verdict,
  }));
}

const of = (name: MadeName): Buffer => madeBytes(name);

function keyPackages(): MlsVector[] {
  const refused = refusedWith('InvalidKeyPackage');
  return vectors('publishKeyPackage.keyPackage', 'bob', [
    ['a KeyPackage without its last byte', truncated(of('keyPackage')), refused],
    ['a KeyPackage with a byte behind it', extended(of('keyPackage')), refused],
    ['a KeyPackage with a wrong signature', changed(of('keyPackage'), -1), refused],
    ['a KeyPackage of another person', of('keyPackageOfAnotherPerson'), refused],
    ['a KeyPackage of version 2', changed(of('keyPackage'), 1, 2), refused],
    ['a Welcome instead of a KeyPackage', of('welcome'), refused],
    ['a KeyPackage', of('keyPackage'), accepted],
    ['the same KeyPackage in an MLSMessage', wrapped(of('keyPackage')), accepted],
  ]);
}

function welcomes(): MlsVector[] {
  const refused = refusedWith('InvalidWelcome');
  return vectors('createConvo.welcomeMessage', 'alice', [
    ['a Welcome without its last byte', truncated(of('welcome')), refused],
    ['a Welcome with a byte behind it', extended(of('welcome')), refused],
    ['a GroupInfo instead of a Welcome', of('groupInfo'), refused],
    ['a KeyPackage instead of a Welcome', wrapped(of('keyPackage')), refused],
    ['a Welcome in the padding envelope', inEnvelope(of('welcome')), refused],
    ['a Welcome for an unknown key package', changed(of('welcome'), 10), refusedWith('KeyPackageNotFound', 409)],
    ['a Welcome', of('welcome'), accepted],
  ]);
}

function messages(): MlsVector[] {
  const refused = refusedWith('InvalidAsset');
  const epoch = 1;
  const application = of('application');
  const cases: readonly Case[] = [
    ['a PrivateMessage with application data', inEnvelope(application), accepted],
    ['a PrivateMessage that is padded inside', of('paddedInside'), accepted],
    ['a PrivateMessage without padding', application, refusedWith('InvalidRequest')],
    ['a PrivateMessage without its last byte', inEnvelope(truncated(application)), refused],
    ['a PrivateMessage with a byte behind it', inEnvelope(extended(application)), refused],
    ['an MLSMessage of version 2', inEnvelope(changed(application, 1, 2)), refused],
    ['an MLSMessage with an unknown wire format', inEnvelope(changed(application, 3, 6)), refused],
    ['a content type that MLS does not have', inEnvelope(changed(application, epochAt + 8, 4)), refused],
    ['a PrivateMessage of another group', inEnvelope(changed(application, epochAt - 1)), refused],
    ['a PrivateMessage of another epoch than the field names', inEnvelope(inEpoch(application, 2)), refused],
    [
      'a PrivateMessage of an epoch that is over',
      inEnvelope(inEpoch(application, 0)),
      refusedWith('EpochMismatch', 409),
      { epoch: 0 },
    ],
    ['a commit as PrivateMessage', inEnvelope(of('privateCommit')), refused],
    ['a commit as PublicMessage', inEnvelope(of('publicCommit')), refused],
    ['an external commit', inEnvelope(of('externalCommit')), refused],
    ['a Welcome', inEnvelope(of('welcome')), refused],
    ['a GroupInfo', inEnvelope(of('groupInfo')), refused],
    ['a KeyPackage', inEnvelope(wrapped(of('keyPackage'))), refused],
  ];
  const proposals: readonly Case[] = [
    ['a proposal as PrivateMessage', inEnvelope(of('privateProposal')), accepted],
    ['a proposal as PublicMessage', inEnvelope(of('publicProposal')), accepted],
  ];
  const withEpoch = (each: Case): Case => [each[0], each[1], each[2], { epoch, ...each[3] }];
  return [
    ...vectors('sendMessage.ciphertext', 'alice', cases.map(withEpoch)),
    ...vectors('sendMessage.ciphertext', 'bob', proposals.map(withEpoch)),
  ];
}

function groupInfos(): MlsVector[] {
  const refused = refusedWith('InvalidGroupInfo');
  const epoch = 1;
  return vectors('updateGroupInfo.groupInfo', 'alice', [
    ['a GroupInfo without its last byte', truncated(of('groupInfo')), refused, { epoch }],
    ['a GroupInfo with a byte behind it', extended(of('groupInfo')), refused, { epoch }],
    ['a GroupInfo of the next epoch', of('nextGroupInfo'), refused, { epoch }],
    ['a Welcome instead of a GroupInfo', of('welcome'), refused, { epoch }],
    ['a GroupInfo', of('groupInfo'), accepted, { epoch }],
    ['a GroupInfo without an MLSMessage', bare(of('groupInfo')), accepted, { epoch }],
  ]);
}

function commits(): MlsVector[] {
  const refused = refusedWith('InvalidCommit');
  const groupInfo = made.nextGroupInfo;
  return vectors('commit.commit', 'alice', [
    ['a commit without its last byte', truncated(of('publicCommit')), refused, { groupInfo }],
    ['a commit with a byte behind it', extended(of('publicCommit')), refused, { groupInfo }],
    ['a commit in the padding envelope', inEnvelope(of('publicCommit')), refused, { groupInfo }],
    ['application data instead of a commit', of('application'), refused, { groupInfo }],
    ['an external commit instead of one by a member', of('externalCommit'), refused, { groupInfo }],
    ['a commit of another group', changed(of('privateCommit'), epochAt - 1), refused],
    ['a commit of an epoch that is over', of('firstCommit'), refusedWith('EpochMismatch', 409)],
    ['a commit as PublicMessage', of('publicCommit'), accepted, { groupInfo }],
    ['the same bytes again', of('publicCommit'), accepted, { groupInfo }],
    ['another commit of the same epoch', of('privateCommit'), refusedWith('EpochMismatch', 409)],
    ['a commit as PrivateMessage', of('secondCommit'), accepted, { groupInfo: made.secondGroupInfo }],
  ]);
}

/** `mls.json`. */
export function mlsVectors(): MlsVectorFile {
  return {
    about:
      'MLSMessages (RFC 9420) that the service accepts or refuses, in the order in which they are sent: Alice creates a group with Bob, which is in epoch 1 until the first accepted commit.',
    group: {
      groupId: made.groupId,
      cipherSuite: made.cipherSuite,
      alice: made.aliceDid,
      bob: made.bobDid,
      keyPackageRef: made.keyPackageRef,
      groupInfo: made.groupInfo,
    },
    vectors: [...keyPackages(), ...welcomes(), ...messages(), ...groupInfos(), ...commits()],
  };
}

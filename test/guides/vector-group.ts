import { newUuid } from '#platform/ids.ts';
import type { MlsVector, MlsVectorFile } from '../../bin/codegen/test-vectors/mls-vectors.ts';
import type { Verdict } from '../../bin/codegen/test-vectors/vector-file.ts';
import { XrpcFailure } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import type { TestBed } from '../support/test-server.ts';

const expires = '2035-01-01T00:00:00.000Z';

/** The two people of mls.json with a real server. */
export interface VectorGroup {
  /** Sends a vector as a client would. */
  send(vector: MlsVector): Promise<Verdict>;
  sendMessage(by: MlsVector['by'], padded: Uint8Array, epoch: number): Promise<Verdict>;
}

const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(hex, 'hex'));
const base64Of = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

async function verdictOf(call: Promise<unknown>): Promise<Verdict> {
  try {
    await call;
    return { status: 200 };
  } catch (error) {
    if (!(error instanceof XrpcFailure)) throw error;
    return { status: error.status, error: error.error };
  }
}

export function openVectorGroup(bed: TestBed, { group }: MlsVectorFile): VectorGroup {
  const clients: Readonly<Record<MlsVector['by'], XrpcClient>> = {
    alice: bed.client({ account: bed.account({ did: group.alice }) }),
    bob: bed.client({ account: bed.account({ did: group.bob }) }),
  };
  const { alice, bob } = clients;
  const { groupId: convoId, cipherSuite, keyPackageRef } = group;
  let hasClaimed = false;

  const sendMessage: VectorGroup['sendMessage'] = (by, padded, epoch) => {
    const ciphertext = Uint8Array.from(padded);
    const message = { convoId, msgId: newUuid(), epoch, ciphertext, paddedSize: ciphertext.length };
    return verdictOf(clients[by].call('sendMessage', message));
  };

  /** Claims Bob's key package once, then creates the conversation with it. */
  async function create(welcome: string): Promise<void> {
    if (!hasClaimed) await alice.call('getKeyPackages', { dids: [bob.did as `did:plc:${string}`], cipherSuite });
    hasClaimed = true;
    await alice.call('createConvo', {
      groupId: convoId,
      cipherSuite,
      initialMembers: [bob.did as `did:plc:${string}`],
      welcomeMessage: base64Of(welcome),
      keyPackageHashes: [{ did: bob.did as `did:plc:${string}`, hash: keyPackageRef }],
      groupInfo: base64Of(group.groupInfo),
      currentEpoch: 1,
    });
  }

  return {
    sendMessage,
    send({ field, by, epoch = 0, bytes, groupInfo }) {
      const client = clients[by];
      switch (field) {
        case 'publishKeyPackage.keyPackage':
          return verdictOf(client.call('publishKeyPackage', { keyPackage: base64Of(bytes), cipherSuite, expires }));
        case 'createConvo.welcomeMessage':
          return verdictOf(create(bytes));
        case 'sendMessage.ciphertext':
          return sendMessage(by, bytesOf(bytes), epoch);
        case 'updateGroupInfo.groupInfo':
          return verdictOf(client.call('updateGroupInfo', { convoId, groupInfo: base64Of(bytes), epoch }));
        case 'commit.commit': {
          const info = groupInfo === undefined ? {} : { groupInfo: bytesOf(groupInfo) };
          return verdictOf(client.call('commit', { convoId, commit: bytesOf(bytes), ...info }));
        }
      }
    },
  };
}

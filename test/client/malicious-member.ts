import { pad } from '#client/conversation/padding.ts';
import type { PendingCommit } from '#client/mls/mls-engine.ts';
import { required } from '#platform/errors.ts';
import { newUuid } from '#platform/ids.ts';
import type { Account } from '../support/clients/account.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { craftedSuite as cipherSuite } from '../support/mls/crafted-conversation.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import type { TestBed } from '../support/test-server.ts';

/** A member who uses MLS and the service directly, so that it can send every commit that the service accepts. */
export interface MaliciousMember {
  readonly did: string;
  readonly client: XrpcClient;
  readonly mls: MlsMember;
  /** Joins by the Welcome that waits for this device. */
  join(convoId: string): Promise<void>;
  /** Processes all messages of the log after `seq`. @returns the seq of the last one. */
  catchUp(convoId: string, seq?: number): Promise<number>;
  /** Sends the commit by the method `commit`, which changes no membership, and enters its epoch. */
  commit(convoId: string, pending: PendingCommit): Promise<void>;
  /** Sends a proposal. */
  propose(convoId: string, proposal: Uint8Array): Promise<void>;
}

/** Registers the device of a person who then is a member like any other. */
export async function openMaliciousMember(bed: TestBed, account: Account): Promise<MaliciousMember> {
  const client = bed.client({ account });
  const mls = await MlsMember.create({ did: client.did, cipherSuite });
  await registerTestDevice(client, { device: mls.device });
  return {
    did: client.did,
    client,
    mls,
    async join(convoId) {
      const { welcome } = await client.call('getWelcome', { convoId });
      await mls.joinByWelcome(Buffer.from(welcome, 'base64'));
    },
    async catchUp(convoId, seq = 0) {
      const { messages } = await client.call('getMessages', { convoId, sinceSeq: seq });
      const isLater = (epoch: number, type: string | undefined): boolean =>
        type === 'commit' ? epoch > mls.epoch : epoch >= mls.epoch;
      for (const { ciphertext, epoch, messageType } of messages) {
        if (isLater(epoch, messageType)) await mls.receive(ciphertext);
      }
      return messages.at(-1)?.seq ?? seq;
    },
    async commit(convoId, { commit, groupInfo }) {
      await client.call('commit', { convoId, commit, groupInfo });
      mls.acceptCommit();
    },
    async propose(convoId, proposal) {
      const ciphertext = pad(proposal);
      const paddedSize = ciphertext.length;
      await client.call('sendMessage', { convoId, msgId: newUuid(), epoch: mls.epoch, ciphertext, paddedSize });
    },
  };
}

/** A key package of a person who is no member and whose device is not registered. */
export async function keyPackageOf(did: string): Promise<Uint8Array> {
  const { bytes } = await (await MlsMember.create({ did, cipherSuite })).createKeyPackage();
  return required(bytes, 'a key package');
}

import {
  type CiphersuiteName,
  encodeMlsMessage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  type LeafNode,
} from 'ts-mls';
import { signGroupInfo } from 'ts-mls/groupInfo.js';
import { encodeRatchetTree, type Node, type RatchetTree } from 'ts-mls/ratchetTree.js';
import { treeHashRoot } from 'ts-mls/treeHash.js';

import { newSecret } from '#platform/ids.ts';

import { randomPlcDid } from '../clients/account.ts';

export interface LargeGroup {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly cipherSuite: CiphersuiteName;
  readonly leafCount: number;
}

/**
 * Makes a GroupInfo (MLSMessage) of a full tree in seconds instead of hours: keys, leaf signatures and parent hashes are random bytes of
 * the right lengths, and tree hash and signature are computed by ts-mls.
 */
export async function makeLargeGroupInfo({ groupId, epoch, cipherSuite, leafCount }: LargeGroup): Promise<Buffer> {
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName(cipherSuite));
  const signer = await suite.signature.keygen();
  const kemKey = await suite.hpke.exportPublicKey((await suite.hpke.generateKeyPair()).publicKey);
  const leafSignature = await suite.signature.sign(signer.signKey, newSecret(32));
  const hashSizeBytes = (await suite.hash.digest(newSecret(1))).length;
  const leaf = (): LeafNode => ({
    hpkePublicKey: newSecret(kemKey.length),
    signaturePublicKey: newSecret(signer.publicKey.length),
    credential: { credentialType: 'basic', identity: Buffer.from(randomPlcDid()) },
    capabilities: {
      versions: ['mls10'],
      ciphersuites: [cipherSuite],
      extensions: [10],
      proposals: [],
      credentials: ['basic'],
    },
    leafNodeSource: 'commit',
    parentHash: newSecret(hashSizeBytes),
    extensions: [],
    signature: newSecret(leafSignature.length),
  });
  const parent = (): Node => ({
    nodeType: 'parent',
    parent: { hpkePublicKey: newSecret(kemKey.length), parentHash: newSecret(hashSizeBytes), unmergedLeaves: [] },
  });
  const nodes = Array.from({ length: 2 * leafCount - 1 }, (_, at): Node =>
    at % 2 === 0 ? { nodeType: 'leaf', leaf: leaf() } : parent(),
  );
  nodes[0] = { nodeType: 'leaf', leaf: { ...leaf(), signaturePublicKey: signer.publicKey } };
  let width = 1;
  while (width < nodes.length) width = 2 * width + 1;
  const full: RatchetTree = Array.from({ length: width }, (_, at) => nodes[at]);
  const groupInfo = await signGroupInfo(
    {
      groupContext: {
        version: 'mls10',
        cipherSuite,
        groupId,
        epoch: BigInt(epoch),
        treeHash: await treeHashRoot(full, suite.hash),
        confirmedTranscriptHash: newSecret(hashSizeBytes),
        extensions: [],
      },
      extensions: [
        { extensionType: 'external_pub', extensionData: newSecret(kemKey.length) },
        { extensionType: 'ratchet_tree', extensionData: encodeRatchetTree(full) },
      ],
      confirmationTag: newSecret(hashSizeBytes),
      signer: 0,
    },
    signer.signKey,
    suite.signature,
  );
  return Buffer.from(encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo }));
}

import type { CiphersuiteImpl, ClientConfig, ClientState, PrivateKeyPackage, Welcome } from 'ts-mls';
import { exportSecret, nextEpochContext, throwIfDefined, validateRatchetTree } from 'ts-mls/clientState.js';
import { extensionsSupportedByCapabilities } from 'ts-mls/extension.js';
import { createContentCommitSignature, createConfirmationTag } from 'ts-mls/framedContent.js';
import type { FramedContentCommit } from 'ts-mls/framedContent.js';
import {
  ratchetTreeFromExtension,
  verifyGroupInfoConfirmationTag,
  verifyGroupInfoSignature,
} from 'ts-mls/groupInfo.js';
import type { GroupInfo } from 'ts-mls/groupInfo.js';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import type { KeyPackage } from 'ts-mls/keyPackage.js';
import { deriveKeySchedule, initializeEpoch } from 'ts-mls/keySchedule.js';
import { protectPublicMessage } from 'ts-mls/messageProtectionPublic.js';
import { CryptoVerificationError, ValidationError } from 'ts-mls/mlsError.js';
import { verifyParentHashes } from 'ts-mls/parentHash.js';
import { getCommitSecret, pathToPathSecrets, pathToRoot } from 'ts-mls/pathSecrets.js';
import type { PathSecrets } from 'ts-mls/pathSecrets.js';
import { mergePrivateKeyPaths, toPrivateKeyPath, updateLeafKey } from 'ts-mls/privateKeyPath.js';
import type { PublicMessage } from 'ts-mls/publicMessage.js';
import { addLeafNode, findLeafIndex, getSignaturePublicKeyFromLeafIndex, removeLeafNode } from 'ts-mls/ratchetTree.js';
import type { RatchetTree } from 'ts-mls/ratchetTree.js';
import { createSecretTree } from 'ts-mls/secretTree.js';
import { treeHashRoot } from 'ts-mls/treeHash.js';
import {
  directPath,
  isAncestor,
  isLeaf,
  leafToNodeIndex,
  leafWidth,
  nodeToLeafIndex,
  toLeafIndex,
  toNodeIndex,
} from 'ts-mls/treemath.js';
import type { LeafIndex } from 'ts-mls/treemath.js';
import { createUpdatePath, firstCommonAncestor } from 'ts-mls/updatePath.js';
import type { UpdatePath } from 'ts-mls/updatePath.js';
import { decryptGroupInfo, decryptGroupSecrets } from 'ts-mls/welcome.js';
import { areEqual, encodeHex } from '../api/bytes.ts';

/*
 * ts-mls 1.6.4 refuses many valid trees: it wants the same list of unmerged leaves in all nodes above an unmerged leaf, also above the node
 * with the list (RFC 9420, 7.9, asks it of the nodes in between only). These functions join such groups with the parts of ts-mls itself.
 */

/** What both ways to join need. */
export interface JoinKeys {
  readonly suite: CiphersuiteImpl;
  readonly config: ClientConfig;
  readonly keyPackage: KeyPackage;
  readonly privateKeys: PrivateKeyPackage;
}

/** Whether ts-mls has refused a tree for the reason above. */
export function isTreeRefusal(error: unknown): boolean {
  return error instanceof ValidationError && error.message.includes('unmerged_leaves');
}

/**
 * Joins by a Welcome without PSKs, as `joinGroup` of ts-mls does (RFC 9420, 12.4.3.1).
 * @throws ValidationError, CryptoVerificationError when the Welcome is not valid.
 */
export async function joinByWelcome(welcome: Welcome, keys: JoinKeys): Promise<ClientState> {
  const { suite, keyPackage, privateKeys } = keys;
  const ref = await makeKeyPackageRef(keyPackage, suite.hash);
  const initKey = await suite.hpke.importPrivateKey(privateKeys.initPrivateKey);
  const secrets = await decryptGroupSecrets(initKey, ref, welcome, suite.hpke);
  if (secrets === undefined || secrets.psks.length > 0) throw new ValidationError('the Welcome cannot be used');
  const noPsk = new Uint8Array(suite.kdf.size);
  const groupInfo = await decryptGroupInfo(welcome, secrets.joinerSecret, noPsk, suite);
  if (groupInfo === undefined) throw new ValidationError('the Welcome has no GroupInfo');
  const tree = await validTreeOf(groupInfo, keys);
  const leafIndex = findLeafIndex(tree, keyPackage.leafNode);
  if (leafIndex === undefined) throw new ValidationError('the Welcome is for another leaf');
  const ownKey = { leafIndex, privateKeys: { [leafToNodeIndex(leafIndex)]: privateKeys.hpkePrivateKey } };
  const ancestor = firstCommonAncestor(tree, leafIndex, toLeafIndex(groupInfo.signer));
  const pathOf = (secret: Uint8Array): Promise<PathSecrets> => pathToRoot(tree, ancestor, secret, suite.kdf);
  const privatePath =
    secrets.pathSecret === undefined
      ? ownKey
      : mergePrivateKeyPaths(await toPrivateKeyPath(await pathOf(secrets.pathSecret), leafIndex, suite), ownKey);
  const { joinerSecret } = secrets;
  const [keySchedule, encryptionSecret] = await deriveKeySchedule(
    joinerSecret,
    noPsk,
    groupInfo.groupContext,
    suite.kdf,
  );
  if (!(await verifyGroupInfoConfirmationTag(groupInfo, joinerSecret, noPsk, suite))) {
    throw new CryptoVerificationError('the confirmation tag is wrong');
  }
  const { groupContext, confirmationTag } = groupInfo;
  return newStateOf(keys, { groupContext, tree, privatePath, keySchedule, encryptionSecret, confirmationTag });
}

/**
 * Joins by an external commit, as `joinGroupExternal` of ts-mls does (RFC 9420, 12.4.3.2); a leaf with the same signature key is replaced.
 * @throws ValidationError, CryptoVerificationError when the GroupInfo is not valid.
 */
export async function joinExternally(
  groupInfo: GroupInfo,
  keys: JoinKeys,
): Promise<{ readonly publicMessage: PublicMessage; readonly newState: ClientState }> {
  const { suite, keyPackage, privateKeys } = keys;
  const { groupContext } = groupInfo;
  const externalPub = groupInfo.extensions.find(({ extensionType }) => extensionType === 'external_pub');
  if (externalPub === undefined) throw new ValidationError('the GroupInfo has no external public key');
  const { enc: kemOutput, secret: initSecret } = await exportSecret(externalPub.extensionData, suite);
  const tree = await validTreeOf(groupInfo, keys);
  const replaced = leafWith(keyPackage.leafNode.signaturePublicKey, tree);
  const remaining = replaced === undefined ? tree : removeLeafNode(tree, replaced);
  const [withLeaf, leafNodeIndex] = addLeafNode(remaining, keyPackage.leafNode);
  const leafIndex = nodeToLeafIndex(leafNodeIndex);
  const signKey = privateKeys.signaturePrivateKey;
  const [newTree, path, pathSecrets, leafKey] = await createUpdatePath(
    withLeaf,
    leafIndex,
    groupContext,
    signKey,
    suite,
  );
  const parentKeys = await toPrivateKeyPath(pathToPathSecrets(pathSecrets), leafIndex, suite);
  const privatePath = updateLeafKey(parentKeys, await suite.hpke.exportPrivateKey(leafKey));
  const last = pathSecrets.at(-1);
  const noSecret = new Uint8Array(suite.kdf.size);
  const commitSecret =
    last === undefined ? noSecret : await getCommitSecret(newTree, toNodeIndex(last.nodeIndex), last.secret, suite.kdf);
  const { commit, signature } = await signExternalCommit(groupInfo, keys, { kemOutput, replaced, path });
  const nextContext = await nextEpochContext(
    groupContext,
    'mls_public_message',
    commit,
    signature,
    await treeHashRoot(newTree, suite.hash),
    groupInfo.confirmationTag,
    suite.hash,
  );
  const { kdf, hash } = suite;
  const { keySchedule, encryptionSecret } = await initializeEpoch(initSecret, commitSecret, nextContext, noSecret, kdf);
  const { confirmationKey, membershipKey } = keySchedule;
  const confirmationTag = await createConfirmationTag(confirmationKey, nextContext.confirmedTranscriptHash, hash);
  const auth = { signature, confirmationTag, contentType: 'commit' } as const;
  const authenticated = { content: commit, auth, wireformat: 'mls_public_message' } as const;
  return {
    publicMessage: await protectPublicMessage(membershipKey, nextContext, authenticated, suite),
    newState: await newStateOf(keys, {
      groupContext: nextContext,
      tree: newTree,
      privatePath,
      keySchedule,
      encryptionSecret,
      confirmationTag,
    }),
  };
}

function leafWith(signatureKey: Uint8Array, tree: RatchetTree): LeafIndex | undefined {
  const index = tree.findIndex(
    (node) => node?.nodeType === 'leaf' && areEqual(node.leaf.signaturePublicKey, signatureKey),
  );
  return index === -1 ? undefined : nodeToLeafIndex(toNodeIndex(index));
}

async function signExternalCommit(
  { groupContext }: GroupInfo,
  { privateKeys, suite }: JoinKeys,
  content: {
    readonly kemOutput: Uint8Array;
    readonly replaced: number | undefined;
    readonly path: UpdatePath;
  },
): Promise<{ readonly commit: FramedContentCommit; readonly signature: Uint8Array }> {
  const { kemOutput, replaced, path } = content;
  const externalInit = { proposalType: 'external_init', externalInit: { kemOutput } } as const;
  const removal = replaced === undefined ? [] : [{ proposalType: 'remove', remove: { removed: replaced } } as const];
  const proposals = [...removal, externalInit].map(
    (proposal) => ({ proposalOrRefType: 'proposal', proposal }) as const,
  );
  const { framedContent, signature } = await createContentCommitSignature(
    groupContext,
    'mls_public_message',
    { proposals, path },
    { senderType: 'new_member_commit' },
    new Uint8Array(),
    privateKeys.signaturePrivateKey,
    suite.signature,
  );
  return { commit: framedContent, signature };
}

async function newStateOf(
  { suite, config, privateKeys }: JoinKeys,
  parts: Pick<ClientState, 'groupContext' | 'privatePath' | 'keySchedule' | 'confirmationTag'> & {
    readonly tree: RatchetTree;
    readonly encryptionSecret: Uint8Array;
  },
): Promise<ClientState> {
  const { tree, encryptionSecret, ...rest } = parts;
  return {
    ...rest,
    ratchetTree: tree,
    signaturePrivateKey: privateKeys.signaturePrivateKey,
    unappliedProposals: {},
    secretTree: await createSecretTree(leafWidth(tree.length), encryptionSecret, suite.kdf),
    historicalReceiverData: new Map(),
    groupActiveState: { kind: 'active' },
    clientConfig: config,
  };
}

/**
 * The ratchet tree of a GroupInfo after all checks of RFC 9420, 7.9, and of the GroupInfo's signature.
 * @throws ValidationError, CryptoVerificationError.
 */
async function validTreeOf(groupInfo: GroupInfo, { suite, config, keyPackage }: JoinKeys): Promise<RatchetTree> {
  const { cipherSuite, extensions } = groupInfo.groupContext;
  if (cipherSuite !== keyPackage.cipherSuite) throw new ValidationError('the group has another cipher suite');
  if (!extensionsSupportedByCapabilities(extensions, keyPackage.leafNode.capabilities)) {
    throw new ValidationError('the group needs an extension that this client does not support');
  }
  const tree = ratchetTreeFromExtension(groupInfo);
  if (tree === undefined) throw new ValidationError('the GroupInfo has no ratchet tree');
  const signatureKey = getSignaturePublicKeyFromLeafIndex(tree, toLeafIndex(groupInfo.signer));
  if (!(await verifyGroupInfoSignature(groupInfo, signatureKey, suite.signature))) {
    throw new CryptoVerificationError('the signature of the GroupInfo is wrong');
  }
  refuseWrongUnmergedLeaves(tree);
  if (!(await verifyParentHashes(tree, suite.hash))) throw new CryptoVerificationError('a parent hash is wrong');
  const { treeHash } = groupInfo.groupContext;
  if (!areEqual(await treeHashRoot(tree, suite.hash), treeHash)) throw new ValidationError('the tree hash is wrong');
  await validateLeaves(tree, groupInfo, { suite, config });
  return tree;
}

/** Each unmerged leaf is a leaf below the node that lists it, and the nodes in between list it too. */
function refuseWrongUnmergedLeaves(tree: RatchetTree): void {
  const width = leafWidth(tree.length);
  for (const [index, node] of tree.entries()) {
    if (node !== undefined && (node.nodeType === 'leaf') !== isLeaf(toNodeIndex(index))) {
      throw new ValidationError('a leaf and a parent are in the wrong place');
    }
    if (node?.nodeType !== 'parent') continue;
    for (const leafIndex of node.parent.unmergedLeaves) {
      const leafNode = leafToNodeIndex(toLeafIndex(leafIndex));
      const above = directPath(leafNode, width);
      const between = above.slice(0, above.indexOf(toNodeIndex(index)));
      const isListed = between.every((each) => {
        const other = tree[each];
        return other?.nodeType !== 'parent' || other.parent.unmergedLeaves.includes(leafIndex);
      });
      const isBelow = isAncestor(leafNode, toNodeIndex(index), tree.length);
      if (tree[leafNode]?.nodeType !== 'leaf' || !isBelow || !isListed) {
        throw new ValidationError('a list of unmerged leaves is wrong');
      }
    }
  }
}

/** Runs the checks of ts-mls on the leaves. They need a tree without parents, because they would refuse this one for its parents. */
async function validateLeaves(
  tree: RatchetTree,
  { groupContext }: GroupInfo,
  { suite, config }: Pick<JoinKeys, 'suite' | 'config'>,
): Promise<void> {
  const leaves = tree.map((node) => (node?.nodeType === 'leaf' ? node : undefined));
  const parentKeys = tree.flatMap((node) =>
    node?.nodeType === 'parent' ? [encodeHex(node.parent.hpkePublicKey)] : [],
  );
  if (new Set(parentKeys).size < parentKeys.length) throw new ValidationError('two parents have the same key');
  const hash = await treeHashRoot(leaves, suite.hash);
  throwIfDefined(
    await validateRatchetTree(leaves, groupContext, config.lifetimeConfig, config.authService, hash, suite),
  );
}

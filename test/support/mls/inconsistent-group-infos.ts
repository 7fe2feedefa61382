import type { GroupInfoTBS } from 'ts-mls/groupInfo.js';
import { decodeRatchetTree, encodeRatchetTree, type Node, type RatchetTree } from 'ts-mls/ratchetTree.js';

import type { GroupInfoMismatch } from '#mls/group-info/group-info-mismatch.ts';

import { decodeMessage } from './mls-decoding.ts';

/** A GroupInfo with an inconsistency and a valid signature of a member. */
export interface InconsistentGroupInfo {
  readonly name: string;
  /** The mismatch that must be found; `format` is an error of the structure. */
  readonly mismatch: GroupInfoMismatch | 'format';
  readonly make: (valid: GroupInfoTBS) => GroupInfoTBS;
}

export function decodeGroupInfo(message: Uint8Array): GroupInfoTBS {
  const decoded = decodeMessage(message);
  if (decoded.wireformat !== 'mls_group_info') throw new TypeError('not a GroupInfo');
  const { groupContext, extensions, confirmationTag, signer } = decoded.groupInfo;
  return { groupContext, extensions, confirmationTag, signer };
}

type ExtensionName = 'ratchet_tree' | 'external_pub';

function withData(tbs: GroupInfoTBS, name: ExtensionName, change: (data: Uint8Array) => Uint8Array): GroupInfoTBS {
  const extensions = tbs.extensions.map((extension) =>
    extension.extensionType === name ? { ...extension, extensionData: change(extension.extensionData) } : extension,
  );
  return { ...tbs, extensions };
}

function without(tbs: GroupInfoTBS, name: ExtensionName): GroupInfoTBS {
  return { ...tbs, extensions: tbs.extensions.filter(({ extensionType }) => extensionType !== name) };
}

function twice(tbs: GroupInfoTBS, name: ExtensionName): GroupInfoTBS {
  return { ...tbs, extensions: [...tbs.extensions, ...tbs.extensions.filter((one) => one.extensionType === name)] };
}

/** The full-size ratchet tree of `tbs`. */
export function treeOf(tbs: GroupInfoTBS): RatchetTree {
  const data = tbs.extensions.find(({ extensionType }) => extensionType === 'ratchet_tree')?.extensionData;
  const decoded = data && decodeRatchetTree(data, 0);
  if (decoded === undefined) throw new TypeError('no ratchet tree');
  return decoded[0];
}

function withTree(tbs: GroupInfoTBS, change: (tree: RatchetTree) => RatchetTree): GroupInfoTBS {
  return withData(tbs, 'ratchet_tree', () => encodeRatchetTree(change(treeOf(tbs))));
}

/** Node indices of the non-blank leaves, or of the non-blank parents. */
function used(tree: RatchetTree, nodeType: Node['nodeType']): number[] {
  return tree.flatMap((node, index) => (node?.nodeType === nodeType ? [index] : []));
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte));

const inContext = (
  name: string,
  mismatch: InconsistentGroupInfo['mismatch'],
  change: (context: GroupInfoTBS['groupContext']) => Partial<GroupInfoTBS['groupContext']>,
): InconsistentGroupInfo => ({
  name,
  mismatch,
  make: (valid) => ({ ...valid, groupContext: { ...valid.groupContext, ...change(valid.groupContext) } }),
});

/** Changes the first non-blank parent. */
function inParent(
  name: string,
  mismatch: InconsistentGroupInfo['mismatch'],
  change: (leaves: number[], tree: RatchetTree) => number[],
): InconsistentGroupInfo {
  return {
    name,
    mismatch,
    make: (valid) =>
      withTree(valid, (tree) => {
        const [at] = used(tree, 'parent');
        return tree.map((node, index) =>
          index === at && node?.nodeType === 'parent'
            ? {
                ...node,
                parent: {
                  ...node.parent,
                  unmergedLeaves: change(node.parent.unmergedLeaves, tree),
                },
              }
            : node,
        );
      }),
  };
}

const inTree = (
  name: string,
  mismatch: InconsistentGroupInfo['mismatch'],
  change: (tree: RatchetTree, signer: number) => RatchetTree,
): InconsistentGroupInfo => ({
  name,
  mismatch,
  make: (valid) => withTree(valid, (tree) => change(tree, valid.signer)),
});

const unknown = { extensionType: 0xf0f0, extensionData: new Uint8Array() };

/** Node indices of the non-blank leaves, except the signer's. */
const others = (tree: RatchetTree, signer: number): number[] => used(tree, 'leaf').filter((at) => at !== 2 * signer);

/** Requires a group with at least three members, a blank leaf, a non-blank parent and a non-blank root. */
export const inconsistentGroupInfos: readonly InconsistentGroupInfo[] = [
  inContext('another group', 'otherGroup', ({ groupId }) => ({ groupId: flipped(groupId) })),
  inContext('a longer group id', 'otherGroup', ({ groupId }) => ({ groupId: Buffer.concat([groupId, groupId]) })),
  inContext('no group id', 'otherGroup', () => ({ groupId: new Uint8Array() })),
  inContext('another suite', 'otherSuite', ({ cipherSuite }) => ({
    cipherSuite:
      cipherSuite === 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448'
        ? 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448'
        : 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448',
  })),
  inContext('another tree hash', 'treeHash', ({ treeHash }) => ({ treeHash: flipped(treeHash) })),
  inContext('a cut tree hash', 'treeHash', ({ treeHash }) => ({ treeHash: treeHash.slice(0, -1) })),
  inContext('no tree hash', 'treeHash', () => ({ treeHash: new Uint8Array() })),
  inContext('a cut transcript hash', 'transcriptHashLength', ({ confirmedTranscriptHash }) => ({
    confirmedTranscriptHash: confirmedTranscriptHash.slice(0, -1),
  })),
  inContext('no transcript hash', 'transcriptHashLength', () => ({ confirmedTranscriptHash: new Uint8Array() })),
  inContext('an extension of the context twice', 'repeatedExtension', () => ({ extensions: [unknown, unknown] })),
  { name: 'no ratchet tree', mismatch: 'format', make: (valid) => without(valid, 'ratchet_tree') },
  { name: 'two ratchet trees', mismatch: 'format', make: (valid) => twice(valid, 'ratchet_tree') },
  { name: 'an empty ratchet tree', mismatch: 'format', make: (valid) => withTree(valid, () => []) },
  {
    name: 'a blank node at the end of the tree',
    mismatch: 'format',
    make: (valid) =>
      withData(valid, 'ratchet_tree', (data) => {
        // The body is longer than 16,383 bytes only with post-quantum keys.
        const size = [1, 2, 4][(data[0] ?? 0) >> 6] ?? 1;
        const body = Buffer.concat([data.subarray(size), Buffer.of(0)]);
        const length = Buffer.alloc(4);
        length.writeUInt32BE((size === 2 ? 0x4000_0000 : 0x8000_0000) + body.length * (size === 2 ? 0x1_0000 : 1));
        return Buffer.concat([length.subarray(0, size), body]);
      }),
  },
  {
    name: 'a byte behind the tree',
    mismatch: 'format',
    make: (valid) => withData(valid, 'ratchet_tree', (data) => Buffer.concat([data, Buffer.of(0)])),
  },
  { name: 'no external key', mismatch: 'noExternalPub', make: (valid) => without(valid, 'external_pub') },
  { name: 'two external keys', mismatch: 'repeatedExtension', make: (valid) => twice(valid, 'external_pub') },
  {
    name: 'an external key that is empty',
    mismatch: 'externalPubLength',
    make: (valid) => withData(valid, 'external_pub', () => new Uint8Array()),
  },
  {
    name: 'a cut external key',
    mismatch: 'externalPubLength',
    make: (valid) => withData(valid, 'external_pub', (data) => data.slice(0, -1)),
  },
  {
    name: 'a longer external key',
    mismatch: 'externalPubLength',
    make: (valid) => withData(valid, 'external_pub', (data) => Buffer.concat([data, Buffer.of(1, 2, 3)])),
  },
  {
    name: 'an unknown extension twice',
    mismatch: 'repeatedExtension',
    make: (valid) => ({ ...valid, extensions: [...valid.extensions, unknown, unknown] }),
  },
  {
    name: 'a cut confirmation tag',
    mismatch: 'confirmationTagLength',
    make: (valid) => ({ ...valid, confirmationTag: valid.confirmationTag.slice(0, -1) }),
  },
  {
    name: 'no confirmation tag',
    mismatch: 'confirmationTagLength',
    make: (valid) => ({ ...valid, confirmationTag: new Uint8Array() }),
  },
  {
    name: 'a longer confirmation tag',
    mismatch: 'confirmationTagLength',
    make: (valid) => ({ ...valid, confirmationTag: Buffer.concat([valid.confirmationTag, valid.confirmationTag]) }),
  },
  { name: 'a signer behind the tree', mismatch: 'noSignerLeaf', make: (valid) => ({ ...valid, signer: 1_000 }) },
  {
    name: 'the largest signer index',
    mismatch: 'noSignerLeaf',
    make: (valid) => ({ ...valid, signer: 0xffff_ffff }),
  },
  {
    name: 'a blank leaf as signer',
    mismatch: 'noSignerLeaf',
    make: (valid) => ({ ...valid, signer: treeOf(valid).findIndex((node, at) => at % 2 === 0 && !node) / 2 }),
  },
  {
    name: 'another member as signer',
    mismatch: 'signature',
    make: (valid) => ({ ...valid, signer: (others(treeOf(valid), valid.signer)[0] ?? 0) / 2 }),
  },
  inTree('a member missing in the tree', 'treeHash', (tree, signer) => {
    const [missing] = others(tree, signer);
    return tree.map((node, index) =>
      index === missing
        ? undefined
        : node?.nodeType === 'parent'
          ? { ...node, parent: { ...node.parent, unmergedLeaves: [] } }
          : node,
    );
  }),
  inTree('two swapped leaves', 'treeHash', (tree, signer) => {
    const [a = 0, b = 0] = others(tree, signer);
    return tree.map((node, index) => (index === a ? tree[b] : index === b ? tree[a] : node));
  }),
  inTree('another identity in a leaf', 'treeHash', (tree, signer) => {
    const [at] = others(tree, signer);
    return tree.map((node, index) =>
      index === at && node?.nodeType === 'leaf'
        ? {
            ...node,
            leaf: { ...node.leaf, credential: { credentialType: 'basic', identity: Buffer.from('did:plc:mallory') } },
          }
        : node,
    );
  }),
  inTree("the signer's leaf alone", 'treeHash', (tree, signer) =>
    tree.map((node, index) => (index === 2 * signer ? node : undefined)),
  ),
  inTree('a further leaf', 'treeHash', (tree) => [...tree, undefined, ...tree.slice(0, 1)]),
  inTree('a parent less', 'treeHash', (tree) =>
    tree.map((node, index) => (index === used(tree, 'parent')[0] ? undefined : node)),
  ),
  inParent('a leaf index behind the tree among the unmerged', 'unmergedLeaves', (leaves) => [...leaves, 1_000]),
  inParent('the largest leaf index among the unmerged', 'unmergedLeaves', (leaves) => [...leaves, 0xffff_ffff]),
  inParent('a leaf of another branch among the unmerged', 'unmergedLeaves', (_, tree) => [
    (used(tree, 'leaf').at(-1) ?? 0) / 2,
  ]),
  inTree('a blank leaf among the unmerged of the root', 'unmergedLeaves', (tree) => {
    const blank = tree.findIndex((node, at) => at % 2 === 0 && node === undefined) / 2;
    return tree.map((node, at) =>
      at === (tree.length - 1) / 2 && node?.nodeType === 'parent'
        ? { ...node, parent: { ...node.parent, unmergedLeaves: [blank] } }
        : node,
    );
  }),
  inParent('an unmerged leaf twice', 'unmergedLeaves', () => [0, 0]),
  inParent('unmerged leaves in descending order', 'unmergedLeaves', () => [1, 0]),
];

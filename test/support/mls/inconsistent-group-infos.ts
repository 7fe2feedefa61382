import type { GroupInfoTBS } from 'ts-mls/groupInfo.js';
import { decodeRatchetTree, encodeRatchetTree, type Node, type RatchetTree } from 'ts-mls/ratchetTree.js';

import type { GroupInfoFault } from '#mls/group-info/group-info-mismatch.ts';

import { decodeMessage } from './mls-decoding.ts';

/** What a member can say wrongly in a GroupInfo that carries their own valid signature. */
export interface Lie {
  readonly name: string;
  /** The fault that must be found; `format` is one of the structure. */
  readonly fault: GroupInfoFault | 'format';
  readonly tell: (truth: GroupInfoTBS) => GroupInfoTBS;
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

/** The ratchet tree of `tbs`, in full size. */
export function treeOf(tbs: GroupInfoTBS): RatchetTree {
  const data = tbs.extensions.find(({ extensionType }) => extensionType === 'ratchet_tree')?.extensionData;
  const decoded = data && decodeRatchetTree(data, 0);
  if (decoded === undefined) throw new TypeError('no ratchet tree');
  return decoded[0];
}

function withTree(tbs: GroupInfoTBS, change: (tree: RatchetTree) => RatchetTree): GroupInfoTBS {
  return withData(tbs, 'ratchet_tree', () => encodeRatchetTree(change(treeOf(tbs))));
}

/** Node indices of leaves in use, or of parents in use. */
function used(tree: RatchetTree, nodeType: Node['nodeType']): number[] {
  return tree.flatMap((node, index) => (node?.nodeType === nodeType ? [index] : []));
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte));

const inContext = (
  name: string,
  fault: Lie['fault'],
  change: (context: GroupInfoTBS['groupContext']) => Partial<GroupInfoTBS['groupContext']>,
): Lie => ({
  name,
  fault,
  tell: (truth) => ({ ...truth, groupContext: { ...truth.groupContext, ...change(truth.groupContext) } }),
});

/** Changes the first parent in use. */
function inParent(name: string, fault: Lie['fault'], change: (leaves: number[], tree: RatchetTree) => number[]): Lie {
  return {
    name,
    fault,
    tell: (truth) =>
      withTree(truth, (tree) => {
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
  fault: Lie['fault'],
  change: (tree: RatchetTree, signer: number) => RatchetTree,
): Lie => ({
  name,
  fault,
  tell: (truth) => withTree(truth, (tree) => change(tree, truth.signer)),
});

const unknown = { extensionType: 0xf0f0, extensionData: new Uint8Array() };

/** Leaf nodes other than the signer's. */
const others = (tree: RatchetTree, signer: number): number[] => used(tree, 'leaf').filter((at) => at !== 2 * signer);

/** For a group with at least three members, a blank leaf, a parent in use and a root in use. */
export const lies: readonly Lie[] = [
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
  { name: 'no ratchet tree', fault: 'format', tell: (truth) => without(truth, 'ratchet_tree') },
  { name: 'two ratchet trees', fault: 'format', tell: (truth) => twice(truth, 'ratchet_tree') },
  { name: 'an empty ratchet tree', fault: 'format', tell: (truth) => withTree(truth, () => []) },
  {
    name: 'a blank node at the end of the tree',
    fault: 'format',
    tell: (truth) =>
      withData(truth, 'ratchet_tree', (data) => {
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
    fault: 'format',
    tell: (truth) => withData(truth, 'ratchet_tree', (data) => Buffer.concat([data, Buffer.of(0)])),
  },
  { name: 'no external key', fault: 'noExternalPub', tell: (truth) => without(truth, 'external_pub') },
  { name: 'two external keys', fault: 'repeatedExtension', tell: (truth) => twice(truth, 'external_pub') },
  {
    name: 'an external key that is empty',
    fault: 'externalPubLength',
    tell: (truth) => withData(truth, 'external_pub', () => new Uint8Array()),
  },
  {
    name: 'a cut external key',
    fault: 'externalPubLength',
    tell: (truth) => withData(truth, 'external_pub', (data) => data.slice(0, -1)),
  },
  {
    name: 'a longer external key',
    fault: 'externalPubLength',
    tell: (truth) => withData(truth, 'external_pub', (data) => Buffer.concat([data, Buffer.of(1, 2, 3)])),
  },
  {
    name: 'an unknown extension twice',
    fault: 'repeatedExtension',
    tell: (truth) => ({ ...truth, extensions: [...truth.extensions, unknown, unknown] }),
  },
  {
    name: 'a cut confirmation tag',
    fault: 'confirmationTagLength',
    tell: (truth) => ({ ...truth, confirmationTag: truth.confirmationTag.slice(0, -1) }),
  },
  {
    name: 'no confirmation tag',
    fault: 'confirmationTagLength',
    tell: (truth) => ({ ...truth, confirmationTag: new Uint8Array() }),
  },
  {
    name: 'a longer confirmation tag',
    fault: 'confirmationTagLength',
    tell: (truth) => ({ ...truth, confirmationTag: Buffer.concat([truth.confirmationTag, truth.confirmationTag]) }),
  },
  { name: 'a signer behind the tree', fault: 'noSignerLeaf', tell: (truth) => ({ ...truth, signer: 1_000 }) },
  {
    name: 'the largest signer index',
    fault: 'noSignerLeaf',
    tell: (truth) => ({ ...truth, signer: 0xffff_ffff }),
  },
  {
    name: 'a blank leaf as signer',
    fault: 'noSignerLeaf',
    tell: (truth) => ({ ...truth, signer: treeOf(truth).findIndex((node, at) => at % 2 === 0 && !node) / 2 }),
  },
  {
    name: 'another member as signer',
    fault: 'signature',
    tell: (truth) => ({ ...truth, signer: (others(treeOf(truth), truth.signer)[0] ?? 0) / 2 }),
  },
  inTree('a member left out of the tree', 'treeHash', (tree, signer) => {
    const [gone] = others(tree, signer);
    return tree.map((node, index) =>
      index === gone
        ? undefined
        : node?.nodeType === 'parent'
          ? { ...node, parent: { ...node.parent, unmergedLeaves: [] } }
          : node,
    );
  }),
  inTree('two leaves that have changed places', 'treeHash', (tree, signer) => {
    const [a = 0, b = 0] = others(tree, signer);
    return tree.map((node, index) => (index === a ? tree[b] : index === b ? tree[a] : node));
  }),
  inTree('somebody else in a leaf', 'treeHash', (tree, signer) => {
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

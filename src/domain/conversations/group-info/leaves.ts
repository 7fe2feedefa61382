import type { ProposalShape } from '#mls/messages/handshake-structure.ts';
import type { RatchetTree } from '#mls/group-info/ratchet-tree.ts';

/** A leaf of the MLS group; `did` is the identity of its Basic credential, undefined for another credential. */
export interface Leaf {
  readonly did: string | undefined;
}

/** The leaves of an epoch by leaf index; undefined is a blank one. */
export type Leaves = readonly (Leaf | undefined)[];

export function leavesOf({ leaves }: Pick<RatchetTree, 'leaves'>): Leaves {
  return leaves.map((leaf) => leaf && { did: didOfIdentity(leaf.basicIdentity) });
}

/** The text of a Basic credential's identity. */
export function didOfIdentity(identity: Uint8Array | undefined): string | undefined {
  return identity && Buffer.from(identity.buffer, identity.byteOffset, identity.byteLength).toString('utf8');
}

/** What a commit does to the leaves; the path and Updates leave their identities as they are. */
export interface LeafChange {
  readonly removed: ReadonlySet<number>;
  /** In the order of the Adds. */
  readonly added: readonly (string | undefined)[];
}

/** What the proposals of a commit do to the leaves. */
export function changeOf(proposals: readonly ProposalShape[]): LeafChange {
  return {
    removed: new Set(proposals.flatMap((shape) => (shape.type === 'remove' ? [shape.leafIndex] : []))),
    added: proposals.flatMap((shape) => (shape.type === 'add' ? [didOfIdentity(shape.identity)] : [])),
  };
}

/** The leaves after a commit, RFC 9420 section 12.1.1: each Add takes the leftmost blank leaf, once the Removes are done. */
export function applyToLeaves(leaves: Leaves, { removed, added }: LeafChange): Leaves {
  const after = leaves.map((leaf, index) => (removed.has(index) ? undefined : leaf));
  let at = 0;
  for (const did of added) {
    while (after[at] !== undefined) at += 1;
    after[at] = { did };
  }
  return after;
}

/** Whether both have the same identities in the same places; blank leaves at the end make no difference. */
export function areSameLeaves(a: Leaves, b: Leaves): boolean {
  const length = Math.max(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const [one, other] = [a[index], b[index]];
    if ((one === undefined) !== (other === undefined) || one?.did !== other?.did) return false;
  }
  return true;
}

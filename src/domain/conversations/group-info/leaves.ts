import type { ProposalShape } from '#mls/messages/handshake-structure.ts';
import type { RatchetTree } from '#mls/group-info/ratchet-tree.ts';

/** A leaf of the MLS group, with the DID of the person whose device it is. */
export interface Leaf {
  /** The identity of the Basic credential; undefined for other types of credential. */
  readonly did: string | undefined;
}

/** The leaves of an epoch by leaf index, where undefined means a blank leaf. */
export type Leaves = readonly (Leaf | undefined)[];

/** Reads the DIDs in the leaves of a ratchet tree. */
export function leavesOf({ leaves }: Pick<RatchetTree, 'leaves'>): Leaves {
  return leaves.map((leaf) => leaf && { did: didOfIdentity(leaf.basicIdentity) });
}

/** Decodes the identity of a Basic credential as UTF-8. */
export function didOfIdentity(identity: Uint8Array | undefined): string | undefined {
  return identity && Buffer.from(identity.buffer, identity.byteOffset, identity.byteLength).toString('utf8');
}

/** The leaves that a commit removes and adds. Updates and the path are left out, because they change no identity. */
export interface LeafChange {
  readonly removed: ReadonlySet<number>;
  /** DIDs in the order of the Adds. */
  readonly added: readonly (string | undefined)[];
}

/** Collects the leaves that a commit's proposals remove and add. */
export function changeOf(proposals: readonly ProposalShape[]): LeafChange {
  return {
    removed: new Set(proposals.flatMap((shape) => (shape.type === 'remove' ? [shape.leafIndex] : []))),
    added: proposals.flatMap((shape) => (shape.type === 'add' ? [didOfIdentity(shape.identity)] : [])),
  };
}

/**
 * Computes the leaves after a commit. Removes are applied first, and then each Add takes the leftmost blank leaf (RFC
 * 9420 sections 12.3 and 12.1.1).
 */
export function applyToLeaves(leaves: Leaves, { removed, added }: LeafChange): Leaves {
  const after = leaves.map((leaf, index) => (removed.has(index) ? undefined : leaf));
  let at = 0;
  for (const did of added) {
    while (after[at] !== undefined) at += 1;
    after[at] = { did };
  }
  return after;
}

/**
 * Returns whether both trees have the same identities at the same leaf indices, regardless of blank leaves at the end.
 */
export function areSameLeaves(a: Leaves, b: Leaves): boolean {
  const length = Math.max(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const [one, other] = [a[index], b[index]];
    if ((one === undefined) !== (other === undefined) || one?.did !== other?.did) return false;
  }
  return true;
}

import type { ProposalShape } from '#mls/messages/handshake-structure.ts';
import type { RatchetTree } from '#mls/group-info/ratchet-tree.ts';

/** A leaf of the MLS group; `did` is the identity of its Basic credential, undefined for another credential. */
export interface Leaf {
  readonly did: string | undefined;
}

/** The leaves of an epoch by leaf index; undefined is a blank leaf. */
export type Leaves = readonly (Leaf | undefined)[];

/** Reads the leaves of a ratchet tree. */
export function leavesOf({ leaves }: Pick<RatchetTree, 'leaves'>): Leaves {
  return leaves.map((leaf) => leaf && { did: didOfIdentity(leaf.basicIdentity) });
}

/** Decodes the identity of a Basic credential as UTF-8. */
export function didOfIdentity(identity: Uint8Array | undefined): string | undefined {
  return identity && Buffer.from(identity.buffer, identity.byteOffset, identity.byteLength).toString('utf8');
}

/** The leaves that a commit removes and adds; its path and Updates change no identity. */
export interface LeafChange {
  readonly removed: ReadonlySet<number>;
  /** DIDs in the order of the Adds. */
  readonly added: readonly (string | undefined)[];
}

/** Collects the leaf changes of a commit's proposals. */
export function changeOf(proposals: readonly ProposalShape[]): LeafChange {
  return {
    removed: new Set(proposals.flatMap((shape) => (shape.type === 'remove' ? [shape.leafIndex] : []))),
    added: proposals.flatMap((shape) => (shape.type === 'add' ? [didOfIdentity(shape.identity)] : [])),
  };
}

/**
 * Computes the leaves after a commit: Removes come first, then each Add takes the leftmost blank leaf (RFC 9420 section
 * 12.1.1).
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

/** Whether both have the same identities at the same leaf indices; blank leaves at the end make no difference. */
export function areSameLeaves(a: Leaves, b: Leaves): boolean {
  const length = Math.max(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const [one, other] = [a[index], b[index]];
    if ((one === undefined) !== (other === undefined) || one?.did !== other?.did) return false;
  }
  return true;
}

import type { Context } from './context.ts';
import type { CommitMaker } from './conversation.ts';
/** A key package that this device has claimed. */
export interface ClaimedKeyPackage {
    readonly did: string;
    readonly keyPackage: Uint8Array;
    /** KeyPackageRef in lower-case hex. */
    readonly hash: string;
}
/**
 * Claims one key package of every device of these people.
 * @throws NoKeyPackageError when somebody has none.
 */
export declare function claimKeyPackages({ api, engine, signal }: Context, dids: readonly string[]): Promise<ClaimedKeyPackage[]>;
export declare const hashesOf: (claimed: readonly ClaimedKeyPackage[]) => {
    did: string;
    hash: string;
}[];
/** Adds people with the key packages that were claimed; removes leaves that they had before. */
export declare function addMembers({ engine }: Context, convoId: string, claimed: readonly ClaimedKeyPackage[]): CommitMaker;
/** Removes every leaf of a person; nothing if there is none left. */
export declare function removeMember({ engine }: Context, convoId: string, targetDid: string): CommitMaker;
/** Renews the keys of this device, and commits all proposals of the epoch. */
export declare function updateKeys({ engine }: Context, convoId: string): CommitMaker;
/** Adds another device of a member. */
export declare function addDevice({ engine }: Context, convoId: string, keyPackage: Uint8Array): CommitMaker;

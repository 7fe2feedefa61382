import { decodeBase64, encodeBase64 } from '../api/bytes.ts';
import type { GroupChange, GroupDescription, GroupMember, PendingCommit } from '../mls/mls-engine.ts';
import type { Context } from './context.ts';
import { NoKeyPackageError } from './conversation-error.ts';
import type { CommitCall, GroupRecord } from './records.ts';

/** Makes a commit for the present state; undefined when there is nothing to change any more. */
export type CommitMaker = (
  record: GroupRecord,
  group: GroupDescription,
) => Promise<{ readonly pending: PendingCommit; readonly call: CommitCall } | undefined>;

/** A key package that this device has claimed. */
export interface ClaimedKeyPackage {
  readonly did: string;
  readonly keyPackage: Uint8Array;
  /** KeyPackageRef in lower-case hex. */
  readonly hash: string;
}

/**
 * Claims one key package of every device of these people.
 * @throws NoKeyPackageError when one of them has none.
 */
export async function claimKeyPackages(
  { api, engine, signal }: Context,
  dids: readonly string[],
): Promise<ClaimedKeyPackage[]> {
  const { keyPackages, missing } = await api.call(
    'getKeyPackages',
    { dids, cipherSuite: engine.cipherSuite },
    { signal },
  );
  if (missing !== undefined && missing.length > 0) throw new NoKeyPackageError(missing);
  return keyPackages.map(({ did, keyPackage, keyPackageHash }) => ({
    did,
    keyPackage: decodeBase64(keyPackage),
    hash: keyPackageHash ?? '',
  }));
}

const additionsOf = (claimed: readonly ClaimedKeyPackage[]): GroupChange[] =>
  claimed.map(({ keyPackage }) => ({ kind: 'add', keyPackage }));
export const hashesOf = (claimed: readonly ClaimedKeyPackage[]): { did: string; hash: string }[] =>
  claimed.map(({ did, hash }) => ({ did, hash }));

/** Adds people with the key packages that were claimed; removes leaves that they had before. */
export function addMembers({ engine }: Context, convoId: string, claimed: readonly ClaimedKeyPackage[]): CommitMaker {
  const didList = [...new Set(claimed.map(({ did }) => did))];
  return async ({ state }, { members }) => {
    const previousLeaves = removalsOf(members.filter(({ did }) => didList.includes(did)));
    const pending = await engine.commit(state, [...previousLeaves, ...additionsOf(claimed)]);
    return {
      pending,
      call: {
        name: 'addMembers',
        request: {
          convoId,
          didList,
          idempotencyKey: crypto.randomUUID(),
          commit: encodeBase64(pending.commit),
          welcomeMessage: encodeBase64(pending.welcome ?? new Uint8Array()),
          keyPackageHashes: hashesOf(claimed),
          groupInfo: encodeBase64(pending.groupInfo),
        },
      },
    };
  };
}

/** Removes every leaf of a person; nothing if there is none left. */
export function removeMember({ engine }: Context, convoId: string, targetDid: string): CommitMaker {
  return async ({ state }, { members }) => {
    const removals = removalsOf(members.filter(({ did }) => did === targetDid));
    if (removals.length === 0) return undefined;
    const pending = await engine.commit(state, removals);
    return {
      pending,
      call: {
        name: 'removeMember',
        request: {
          convoId,
          targetDid,
          idempotencyKey: crypto.randomUUID(),
          commit: encodeBase64(pending.commit),
          groupInfo: encodeBase64(pending.groupInfo),
        },
      },
    };
  };
}

/** Renews the keys of this device, and commits all proposals of the epoch. */
export function updateKeys({ engine }: Context, convoId: string): CommitMaker {
  return async ({ state }) => {
    const pending = await engine.commit(state, []);
    const { commit, groupInfo } = pending;
    const idempotencyKey = crypto.randomUUID();
    return { pending, call: { name: 'commit', request: { convoId, idempotencyKey, commit, groupInfo } } };
  };
}

/** Adds another device of a member. */
export function addDevice({ engine }: Context, convoId: string, keyPackage: Uint8Array): CommitMaker {
  return async ({ state }) => {
    // The library refuses a device that is in the group already: it may have joined by itself in the meantime.
    const pending = await engine.commit(state, [{ kind: 'add', keyPackage }]).catch(() => undefined);
    if (pending === undefined) return undefined;
    const { commit, groupInfo, welcome } = pending;
    const idempotencyKey = crypto.randomUUID();
    return { pending, call: { name: 'commit', request: { convoId, idempotencyKey, commit, groupInfo, welcome } } };
  };
}

function removalsOf(members: readonly GroupMember[]): GroupChange[] {
  return members.map(({ leafIndex }) => ({ kind: 'remove', leafIndex }));
}

import { isApiError } from '../api/api-error.ts';
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

const claimsMax = 3;

/**
 * Runs `task` with one key package of every device of these people, and once more with others if one of them was used in the meantime.
 * @throws NoKeyPackageError, and what `task` throws.
 */
export async function withKeyPackages<Result>(
  context: Context,
  dids: readonly string[],
  task: (claimed: readonly ClaimedKeyPackage[]) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await task(dids.length === 0 ? [] : await claimKeyPackages(context, dids));
    } catch (error) {
      if (!isApiError(error, 'KeyPackageNotFound') || attempt >= claimsMax) throw error;
    }
  }
}

/**
 * Claims one key package of every device of these people.
 * @throws NoKeyPackageError when one of them has none.
 */
async function claimKeyPackages(
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

/**
 * Adds people with the key packages that were claimed; removes leaves that they had before.
 * @param lostLeafKeys only for a person who is added again: nothing is done if none of these leaves is in the group any more, because
 *   another member was faster.
 */
export function addMembers(
  { engine }: Context,
  convoId: string,
  claimed: readonly ClaimedKeyPackage[],
  lostLeafKeys?: readonly string[],
): CommitMaker {
  const didList = [...new Set(claimed.map(({ did }) => did))];
  return async ({ state }, { members }) => {
    const previous = members.filter(({ did }) => didList.includes(did));
    const isDone = previous.length > 0 && !previous.some(({ leafKey }) => lostLeafKeys?.includes(leafKey) ?? true);
    if (isDone) return undefined;
    const previousLeaves = removalsOf(previous);
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

/**
 * Removes every leaf of a person; nothing if there is none left.
 * @param leafKeys only these leaves; a person who has left may have joined again since.
 */
export function removeMember(
  { engine }: Context,
  convoId: string,
  targetDid: string,
  leafKeys?: readonly string[],
): CommitMaker {
  return async ({ state }, { members }) => {
    const removals = removalsOf(
      members.filter(({ did, leafKey }) => did === targetDid && (leafKeys?.includes(leafKey) ?? true)),
    );
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

import { sleep } from '../api/abort.ts';
import { isApiError, isTransient } from '../api/api-error.ts';
import { decodeBase64, encodeBase64, encodeHex } from '../api/bytes.ts';
import type { GroupState, PendingCommit } from '../mls/mls-engine.ts';
import type { StorageChange } from '../storage/storage.ts';
import type { Context } from './context.ts';
import { JoinPendingError } from './conversation-error.ts';
import type { Conversation } from './conversation.ts';
import { sha256 } from './digest.ts';
import { change, keys, readKeyPackage } from './records.ts';
import type { CommitCall, GroupRecord } from './records.ts';

const attemptsMax = 30;

/**
 * Brings this device into a conversation of its person, for the first time or anew: by a Welcome that waits for it, or else by an external
 * commit.
 * @throws JoinPendingError when neither is possible now; the members were asked for help then.
 */
export async function join(context: Context, conversation: Conversation): Promise<void> {
  if (!(await joinByWelcome(context, conversation))) await joinExternally(context, conversation, {});
}

/** Uses the Welcome for a key package of this device. @returns false when there is none that can be used. */
async function joinByWelcome(context: Context, conversation: Conversation): Promise<boolean> {
  const { api, deviceId } = context;
  const { convoId, signal } = conversation;
  let welcome: string;
  try {
    ({ welcome } = await api.call('getWelcome', { convoId, deviceId }, { signal }));
  } catch (error) {
    if (isApiError(error, 'WelcomeNotFound')) return false;
    throw error;
  }
  const opened = await openWelcome(context, conversation, decodeBase64(welcome)).catch(() => undefined);
  if (opened === undefined) {
    await api
      .call('invalidateWelcome', { convoId, deviceId, reason: 'it cannot be used' }, { signal })
      .catch((error: unknown) => {
        if (!isApiError(error, 'NotFound')) throw error;
      });
    return false;
  }
  await conversation.enter(...opened);
  try {
    await api.call('confirmWelcome', { convoId, deviceId, success: true }, { signal });
  } catch (error) {
    // The service keeps the Welcome then, and this device does not use it again.
    if (!isTransient(error)) throw error;
  }
  await conversation.catchUp();
  return true;
}

/**
 * The record of the group in a Welcome, and the deletion of the private part that it was for, which is stored in the same write.
 * Undefined when this device has no such key package, and when the Welcome is for another group or not for a later epoch.
 */
async function openWelcome(
  { engine, storage }: Context,
  { convoId, record }: Conversation,
  welcome: Uint8Array,
): Promise<[GroupRecord, readonly StorageChange[]] | undefined> {
  for (const ref of engine.keyPackageRefsOf(welcome)) {
    const own = await readKeyPackage(storage, ref);
    if (own === undefined) continue;
    const state = await engine.joinByWelcome(welcome, own);
    const { groupId, epoch } = engine.describe(state);
    if (encodeHex(groupId) !== convoId) return undefined;
    // An earlier state could use a message key for a second time.
    const wasInGroup = record !== undefined && record.needsJoin !== 'first';
    if (wasInGroup && epoch <= engine.describe(record.state).epoch) return undefined;
    const used = own.isLastResort ? [] : [change(keys.keyPackage(ref), undefined)];
    return [recordAfter({ state, epoch, record }), used];
  }
  return undefined;
}

/** The record of a device that has joined; what it had not sent or not read before is kept. */
function recordAfter({
  state,
  epoch,
  record,
}: {
  readonly state: GroupState;
  readonly epoch: number;
  readonly record: GroupRecord | undefined;
}): GroupRecord {
  const { lastSeq = 0, outgoing = [] } = record ?? {};
  return {
    state,
    lastSeq,
    outgoing,
    joined: { epoch, isRejoin: record !== undefined && record.needsJoin !== 'first' },
  };
}

export interface ExternalJoinOptions {
  /** SHA-256 of the secret of an invite, in hex, for a person who is not a member. */
  readonly pskHash?: string | undefined;
}

/**
 * Joins by an external commit, which replaces a leaf that this device had before.
 * @throws JoinPendingError when there is no GroupInfo that can be used; the members were asked for help then. ApiError, NoResponseError.
 */
export async function joinExternally(
  context: Context,
  conversation: Conversation,
  invite: ExternalJoinOptions,
): Promise<void> {
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const { pending, call } = await makeExternalCommit(context, conversation, invite);
    const { epoch, nextState } = pending;
    const digest = await sha256(pending.commit);
    try {
      await conversation.enter({
        ...recordAfter({ state: nextState, epoch: epoch + 1, record: conversation.record }),
        pending: { epoch, digest, nextState, call, isEntry: true },
      });
      await conversation.catchUp();
      return;
    } catch (error) {
      if (!isApiError(error, 'EpochMismatch')) throw error;
      await sleep(Math.random() * 40 * attempt, conversation.signal);
    }
  }
  throw new JoinPendingError(conversation.convoId);
}

/**
 * Replaces this device's leaf by an external commit. The device reads on with its present state until it finds that commit in the log, so
 * that it misses no message.
 * @throws as `joinExternally`.
 */
export async function rejoin(context: Context, conversation: Conversation): Promise<void> {
  if (conversation.isActive) await conversation.commit(() => makeExternalCommit(context, conversation, {}));
  else await join(context, conversation);
}

async function makeExternalCommit(
  { api, engine, identity }: Context,
  { convoId, signal }: Conversation,
  invite: ExternalJoinOptions,
): Promise<{ readonly pending: PendingCommit; readonly call: CommitCall }> {
  let groupInfo: string;
  try {
    ({ groupInfo } = await api.call('getGroupInfo', { convoId, ...invite }, { signal }));
  } catch (error) {
    if (!isApiError(error, 'GroupInfoUnavailable')) throw error;
    await api.call('groupInfoRefresh', { convoId }, { signal });
    throw new JoinPendingError(convoId);
  }
  const pending = await engine.joinExternally(decodeBase64(groupInfo), identity).catch(() => undefined);
  if (pending === undefined || encodeHex(engine.describe(pending.nextState).groupId) !== convoId) {
    // The stored GroupInfo is of no use, and the service replaces it with the next commit only.
    await api.call('readdition', { convoId }, { signal });
    throw new JoinPendingError(convoId);
  }
  const request = {
    convoId,
    externalCommit: encodeBase64(pending.commit),
    groupInfo: encodeBase64(pending.groupInfo),
    idempotencyKey: crypto.randomUUID(),
    ...invite,
  };
  return { pending, call: { name: 'processExternalCommit', request } };
}

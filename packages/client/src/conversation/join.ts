import { isApiError } from '../api/api-error.ts';
import { decodeBase64, encodeBase64 } from '../api/bytes.ts';
import { sleep } from '../api/retry.ts';
import type { Context } from './context.ts';
import type { Conversation } from './conversation.ts';
import { sha256 } from './digest.ts';
import { change, keys, readKeyPackage } from './records.ts';

const attemptsMax = 30;

/**
 * Brings this device into a conversation of its person: by the Welcome that waits for it, or else by an external commit.
 * @returns false when neither is possible now; the members were asked for a GroupInfo then.
 */
export async function join(context: Context, conversation: Conversation): Promise<boolean> {
  if (conversation.isInGroup) return true;
  return (await joinByWelcome(context, conversation)) || (await joinExternally(context, conversation, {}));
}

/** Uses the Welcome for a key package of this device, whose private part is deleted in the same write. */
async function joinByWelcome(context: Context, conversation: Conversation): Promise<boolean> {
  const { api, engine, storage, deviceId, signal } = context;
  const { convoId } = conversation;
  let welcome: Uint8Array;
  try {
    const response = await api.call('getWelcome', { convoId, deviceId }, { signal });
    welcome = decodeBase64(response.welcome);
  } catch (error) {
    if (isApiError(error, 'WelcomeNotFound')) return false;
    throw error;
  }
  for (const ref of engine.keyPackageRefsOf(welcome)) {
    const own = await readKeyPackage(storage, ref);
    if (own === undefined) continue;
    const state = await engine.joinByWelcome(welcome, own).catch(() => undefined);
    if (state === undefined) break;
    const used = own.isLastResort ? [] : [change(keys.keyPackage(ref), undefined)];
    await conversation.enter({ state, lastSeq: 0, outgoing: [] }, used);
    await api.call('confirmWelcome', { convoId, deviceId, success: true }, { signal });
    await conversation.catchUp();
    return true;
  }
  await api.call('confirmWelcome', { convoId, deviceId, success: false }, { signal });
  return false;
}

export interface ExternalJoinOptions {
  /** SHA-256 of the secret of an invite, in hex, for a person who is not a member. */
  readonly pskHash?: string | undefined;
}

/** Joins by an external commit, which replaces a leaf that this device had before. */
export async function joinExternally(
  context: Context,
  conversation: Conversation,
  { pskHash }: ExternalJoinOptions,
): Promise<boolean> {
  const { api, engine, identity, signal } = context;
  // Read once: a refused attempt deletes the record.
  const { convoId, progress, isInGroup: isRejoin } = conversation;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    try {
      const { groupInfo } = await api.call('getGroupInfo', pskHash === undefined ? { convoId } : { convoId, pskHash }, {
        signal,
      });
      const pending = await engine.joinExternally(decodeBase64(groupInfo), identity);
      const digest = await sha256(pending.commit);
      await conversation.enter({
        ...progress,
        state: pending.nextState,
        joinedBy: { digest, isRejoin },
        pending: {
          epoch: pending.epoch,
          digest,
          nextState: pending.nextState,
          call: {
            name: 'processExternalCommit',
            request: {
              convoId,
              externalCommit: encodeBase64(pending.commit),
              groupInfo: encodeBase64(pending.groupInfo),
              idempotencyKey: crypto.randomUUID(),
              ...(pskHash === undefined ? {} : { pskHash }),
            },
          },
        },
      });
      await conversation.catchUp();
      return true;
    } catch (error) {
      if (isApiError(error, 'GroupInfoUnavailable')) {
        await api.call('groupInfoRefresh', { convoId }, { signal });
        return false;
      }
      if (!isApiError(error, 'EpochMismatch')) throw error;
      await sleep(Math.random() * 40 * attempt, signal);
    }
  }
  return false;
}

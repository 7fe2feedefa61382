import { ApiError, isTransient } from '../api/api-error.ts';
import { decodeBase64, encodeBase64 } from '../api/bytes.ts';
import type { StreamEvent } from '../api/methods.ts';
import { entriesOf } from '../api/pages.ts';
import { isEvent } from '../stream/stream-event.ts';
import type { EventOf } from '../stream/stream-event.ts';
import { addDevice, addMembers, removeMember, withKeyPackages } from './commit-makers.ts';
import type { Context } from './context.ts';
import type { ConversationSet } from './conversation-set.ts';
import type { Conversation } from './conversation.ts';
import { join } from './join.ts';
import type { KeyPackageSupply } from './key-package-supply.ts';
import type { Retrier } from './retrier.ts';

export interface StreamHandlerDeps {
  readonly context: Context;
  readonly supply: KeyPackageSupply;
  readonly retrier: Retrier;
  readonly conversations: ConversationSet;
  readonly sharedTaskWaitMaxMs: number;
}

/** Does what a client has to do for one event of the stream; tasks that any member can do run in the background. */
export async function handleStreamEvent(deps: StreamHandlerDeps, event: StreamEvent): Promise<void> {
  const { context, conversations } = deps;
  if (isEvent(event, 'messageEvent')) {
    const { message } = event;
    if (event.ephemeral !== true) await conversations.inOrder(message.convoId, (found) => found.receive(message));
  } else if (isEvent(event, 'membershipChangeEvent')) {
    await handleMembership(deps, event);
  } else if (isEvent(event, 'typingEvent')) {
    const { convoId, did, isTyping } = event;
    if (did !== context.identity.did) await context.emit({ kind: 'typing', convoId, did, isTyping });
  } else if (isEvent(event, 'infoEvent')) {
    handleInfo(deps, event);
  } else if (isEvent(event, 'groupInfoRefreshRequestedEvent')) {
    share(deps, `GroupInfo of ${event.convoId}`, () => publishGroupInfo(deps, event.convoId));
  } else if (isEvent(event, 'readditionRequestedEvent')) {
    if (event.userDid !== context.identity.did) await handleReaddition(deps, event);
  } else if (isEvent(event, 'newDeviceEvent')) {
    const { deviceId, pendingAdditionId } = event;
    if (deviceId !== context.deviceId) share(deps, pendingAdditionId, () => addNewDevice(deps, event));
  }
}

/** A later server may send further actions, which are skipped. */
const departures: ReadonlySet<string> = new Set(['left', 'removed', 'kicked']);

async function handleMembership(deps: StreamHandlerDeps, event: EventOf<'membershipChangeEvent'>): Promise<void> {
  const { context, conversations } = deps;
  const { convoId, did, action, epoch, role } = event;
  const isOwn = did === context.identity.did;
  if (action === 'joined') {
    if (!isOwn) return;
    await conversations.inOrder(convoId, async (found) => {
      if (!found.isInGroup) await join(context, found);
    });
    return;
  }
  if (action === 'roleChanged' && role !== undefined) await context.emit({ kind: 'role', convoId, did, role });
  if (!departures.has(action)) return;
  if (!isOwn) return shareRemoval(deps, convoId, did);
  await conversations.inOrder(convoId, async (found) => {
    // A device that is in a later epoch has joined again since.
    if (found.group === undefined || found.group.epoch <= epoch) await found.exit();
  });
}

/** Brings the conversations up to date as `ConversationSet.catchUpAll`, and shares the removals that it finds. */
export async function catchUpAll(deps: StreamHandlerDeps, which: 'all' | 'changed'): Promise<void> {
  const removals = await deps.conversations.catchUpAll(which);
  for (const { convoId, did } of removals) shareRemoval(deps, convoId, did);
}

function handleInfo(deps: StreamHandlerDeps, { code, deviceId }: EventOf<'infoEvent'>): void {
  const { context, retrier, supply } = deps;
  if (code === 'cursorUnknown' || code === 'eventsExpired') {
    retrier.start('all conversations', () => catchUpAll(deps, 'all'), 0);
  }
  if (code === 'keyPackagesLow' && deviceId === context.deviceId) {
    retrier.start('key packages', () => supply.replenish(), 0);
  }
}

/**
 * Runs `task` after a random wait, in the background; a refusal means that another member has done it, or that it is not needed any more.
 */
function share({ retrier, sharedTaskWaitMaxMs }: StreamHandlerDeps, name: string, task: () => Promise<unknown>): void {
  const run = async (): Promise<void> => {
    try {
      await task();
    } catch (error) {
      if (!(error instanceof ApiError) || isTransient(error)) throw error;
    }
  };
  retrier.start(name, run, Math.random() * sharedTaskWaitMaxMs);
}

/** Commits the removal of a person who has left or was removed, if no other member has and the person has not come back. */
function shareRemoval(deps: StreamHandlerDeps, convoId: string, did: string): void {
  const { context, conversations } = deps;
  share(deps, `removal of ${did} from ${convoId}`, () =>
    conversations.inOrder(convoId, async (found) => {
      if (!found.isActive) return;
      await found.catchUp();
      const leafKeys = leafKeysOf(found, did);
      if (leafKeys.length === 0 || !(await isRemovalNeeded(context, convoId, did))) return;
      await found.commit(removeMember(context, convoId, did, leafKeys));
    }),
  );
}

function leafKeysOf({ group }: Conversation, person: string): string[] {
  return (group?.members ?? []).filter(({ did }) => did === person).map(({ leafKey }) => leafKey);
}

/** A repeated event may be of an earlier membership. */
async function isRemovalNeeded({ api, signal }: Context, convoId: string, did: string): Promise<boolean> {
  for await (const { groupId, needsRemovalCommit = [] } of entriesOf(api, 'getConvos', { limit: 100 }, { signal })) {
    if (groupId === convoId) return needsRemovalCommit.includes(did);
  }
  return false;
}

function publishGroupInfo({ context, conversations }: StreamHandlerDeps, convoId: string): Promise<void> {
  return conversations.inOrder(convoId, async (found) => {
    if (!found.isActive) return;
    await found.catchUp();
    if (found.group === undefined) return;
    const groupInfo = encodeBase64(await found.exportGroupInfo());
    const epoch = found.group.epoch;
    await context.api.call('updateGroupInfo', { convoId, groupInfo, epoch }, { signal: context.signal });
  });
}

/** Adds a member again who has lost the group, unless another member does it during the wait. */
async function handleReaddition(
  deps: StreamHandlerDeps,
  { convoId, userDid }: EventOf<'readditionRequestedEvent'>,
): Promise<void> {
  const { context, conversations } = deps;
  const before = await conversations.inOrder(convoId, async (found) => leafKeysOf(found, userDid));
  share(deps, `readdition of ${userDid} to ${convoId}`, async () => {
    const isDone = await conversations.inOrder(convoId, async (found) => {
      if (!found.isActive) return true;
      await found.catchUp();
      return !leafKeysOf(found, userDid).some((leafKey) => before.includes(leafKey));
    });
    if (isDone) return;
    await withKeyPackages(context, [userDid], (claimed) =>
      conversations.inOrder(convoId, (found) => found.commit(addMembers(context, convoId, claimed, before))),
    );
  });
}

async function addNewDevice(
  { context, conversations }: StreamHandlerDeps,
  { convoId, pendingAdditionId }: EventOf<'newDeviceEvent'>,
): Promise<void> {
  const { api, signal } = context;
  await conversations.inOrder(convoId, async (found) => {
    if (!found.isActive) return;
    const { claimed, keyPackage } = await api.call('claimPendingDeviceAddition', { pendingAdditionId }, { signal });
    if (!claimed || keyPackage === undefined) return;
    await found.commit(addDevice(context, convoId, decodeBase64(keyPackage.keyPackage)));
    const newEpoch = found.group?.epoch ?? 0;
    await api.call('completePendingDeviceAddition', { pendingAdditionId, newEpoch }, { signal });
  });
}

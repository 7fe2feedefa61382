import { ApiError } from '../api/api-error.ts';
import { decodeBase64, encodeBase64 } from '../api/bytes.ts';
import type { StreamEvent } from '../api/methods.ts';
import { sleep } from '../api/retry.ts';
import { isEvent } from '../stream/stream-event.ts';
import type { EventOf } from '../stream/stream-event.ts';
import { addDevice, addMembers, claimKeyPackages, removeMember } from './commit-makers.ts';
import type { Context } from './context.ts';
import type { Conversation } from './conversation.ts';
import { join } from './join.ts';
import type { KeyPackageSupply } from './key-package-supply.ts';

export interface StreamHandlerDeps {
  readonly context: Context;
  readonly supply: KeyPackageSupply;
  readonly inOrder: <Result>(convoId: string, task: (of: Conversation) => Promise<Result>) => Promise<Result>;
  readonly catchUpAll: () => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly sharedTaskWaitMaxMs: number;
}

/** Does what a client has to do for one event of the stream; tasks that any member can do run in the background. */
export async function handleStreamEvent(deps: StreamHandlerDeps, event: StreamEvent): Promise<void> {
  const { context, inOrder } = deps;
  if (isEvent(event, 'messageEvent')) {
    const { message } = event;
    if (event.ephemeral !== true) await inOrder(message.convoId, (found) => found.receive(message));
  } else if (isEvent(event, 'membershipChangeEvent')) {
    await handleMembership(deps, event);
  } else if (isEvent(event, 'typingEvent')) {
    const { convoId, did, isTyping } = event;
    if (did !== context.identity.did) await context.emit({ kind: 'typing', convoId, did, isTyping });
  } else if (isEvent(event, 'infoEvent')) {
    await handleInfo(deps, event);
  } else if (isEvent(event, 'groupInfoRefreshRequestedEvent')) {
    later(deps, () => publishGroupInfo(deps, event.convoId));
  } else if (isEvent(event, 'readditionRequestedEvent')) {
    if (event.userDid !== context.identity.did) later(deps, () => readd(deps, event));
  } else if (isEvent(event, 'newDeviceEvent')) {
    if (event.deviceId !== context.deviceId) later(deps, () => addNewDevice(deps, event));
  }
}

/** A later server may send further actions, which are skipped. */
const departures: ReadonlySet<string> = new Set(['left', 'removed', 'kicked']);

async function handleMembership(deps: StreamHandlerDeps, event: EventOf<'membershipChangeEvent'>): Promise<void> {
  const { context, inOrder } = deps;
  const { convoId, did, action, role } = event;
  const isOwn = did === context.identity.did;
  if (action === 'joined') {
    if (isOwn) await inOrder(convoId, (found) => join(context, found));
  } else if (action === 'roleChanged') {
    if (role !== undefined) await context.emit({ kind: 'role', convoId, did, role });
  } else if (departures.has(action)) {
    if (isOwn) await inOrder(convoId, (found) => found.exit());
    else later(deps, () => commitRemoval(deps, convoId, did));
  }
}

async function handleInfo(deps: StreamHandlerDeps, { code, deviceId }: EventOf<'infoEvent'>): Promise<void> {
  if (code === 'cursorUnknown' || code === 'eventsExpired') await deps.catchUpAll();
  if (code === 'keyPackagesLow' && deviceId === deps.context.deviceId) await deps.supply.replenish();
}

/** Runs `task` after a random wait, in the background; a refusal means that another member has done it, or that it is not needed any more. */
function later(deps: StreamHandlerDeps, task: () => Promise<unknown>): void {
  const run = async (): Promise<void> => {
    await sleep(Math.random() * deps.sharedTaskWaitMaxMs, deps.context.signal);
    try {
      await task();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status >= 500) throw error;
    }
  };
  run().catch(deps.onError);
}

/** Commits the removal of a person who has left or was removed, if no other member has. */
function commitRemoval({ context, inOrder }: StreamHandlerDeps, convoId: string, did: string): Promise<void> {
  return inOrder(convoId, async (found) => {
    if (!found.isInGroup) return;
    await found.commit(removeMember(context, convoId, did));
  });
}

function publishGroupInfo({ context, inOrder }: StreamHandlerDeps, convoId: string): Promise<void> {
  return inOrder(convoId, async (found) => {
    if (found.group === undefined) return;
    await found.catchUp();
    const groupInfo = encodeBase64(await found.exportGroupInfo());
    const epoch = found.group.epoch;
    await context.api.call('updateGroupInfo', { convoId, groupInfo, epoch }, { signal: context.signal });
  });
}

async function readd(
  { context, inOrder }: StreamHandlerDeps,
  { convoId, userDid }: EventOf<'readditionRequestedEvent'>,
): Promise<void> {
  const claimed = await claimKeyPackages(context, [userDid]);
  await inOrder(convoId, async (found) => {
    if (found.isInGroup) await found.commit(addMembers(context, convoId, claimed));
  });
}

async function addNewDevice(
  { context, inOrder }: StreamHandlerDeps,
  { convoId, pendingAdditionId }: EventOf<'newDeviceEvent'>,
): Promise<void> {
  const { api, signal } = context;
  await inOrder(convoId, async (found) => {
    if (!found.isInGroup) return;
    const { claimed, keyPackage } = await api.call('claimPendingDeviceAddition', { pendingAdditionId }, { signal });
    if (!claimed || keyPackage === undefined) return;
    await found.commit(addDevice(context, convoId, decodeBase64(keyPackage.keyPackage)));
    const newEpoch = found.group?.epoch ?? 0;
    await api.call('completePendingDeviceAddition', { pendingAdditionId, newEpoch }, { signal });
  });
}

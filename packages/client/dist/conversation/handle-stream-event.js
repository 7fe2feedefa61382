import { ApiError } from '../api/api-error.js';
import { decodeBase64, encodeBase64 } from '../api/bytes.js';
import { sleep } from '../api/retry.js';
import { isEvent } from '../stream/stream-event.js';
import { addDevice, addMembers, claimKeyPackages, removeMember } from './commit-makers.js';
import { join } from './join.js';
/** Does what a client has to do for one event of the stream; tasks that any member can do run in the background. */
export async function handleStreamEvent(deps, event) {
    const { context, inOrder } = deps;
    if (isEvent(event, 'messageEvent')) {
        const { message } = event;
        if (event.ephemeral !== true)
            await inOrder(message.convoId, (found) => found.receive(message));
    }
    else if (isEvent(event, 'membershipChangeEvent')) {
        await handleMembership(deps, event);
    }
    else if (isEvent(event, 'typingEvent')) {
        const { convoId, did, isTyping } = event;
        if (did !== context.identity.did)
            await context.emit({ kind: 'typing', convoId, did, isTyping });
    }
    else if (isEvent(event, 'infoEvent')) {
        await handleInfo(deps, event);
    }
    else if (isEvent(event, 'groupInfoRefreshRequestedEvent')) {
        later(deps, () => publishGroupInfo(deps, event.convoId));
    }
    else if (isEvent(event, 'readditionRequestedEvent')) {
        if (event.userDid !== context.identity.did)
            later(deps, () => readd(deps, event));
    }
    else if (isEvent(event, 'newDeviceEvent')) {
        if (event.deviceId !== context.deviceId)
            later(deps, () => addNewDevice(deps, event));
    }
}
async function handleMembership(deps, event) {
    const { context, inOrder } = deps;
    const { convoId, did, action } = event;
    const isOwn = did === context.identity.did;
    if (action === 'joined') {
        if (isOwn)
            await inOrder(convoId, (found) => join(context, found));
        return;
    }
    if (isOwn)
        await inOrder(convoId, (found) => found.exit());
    else
        later(deps, () => commitRemoval(deps, convoId, did));
}
async function handleInfo(deps, { code, deviceId }) {
    if (code === 'cursorUnknown')
        await deps.catchUpAll();
    if (code === 'keyPackagesLow' && deviceId === deps.context.deviceId)
        await deps.supply.replenish();
}
/** Runs `task` after a random wait, in the background; a refusal means that another member has done it, or that it is not needed any more. */
function later(deps, task) {
    const run = async () => {
        await sleep(Math.random() * deps.sharedTaskWaitMaxMs, deps.context.signal);
        try {
            await task();
        }
        catch (error) {
            if (!(error instanceof ApiError) || error.status >= 500)
                throw error;
        }
    };
    run().catch(deps.onError);
}
/** Commits the removal of a person who has left or was removed, if no other member has. */
function commitRemoval({ context, inOrder }, convoId, did) {
    return inOrder(convoId, async (found) => {
        if (!found.isInGroup)
            return;
        await found.commit(removeMember(context, convoId, did));
    });
}
function publishGroupInfo({ context, inOrder }, convoId) {
    return inOrder(convoId, async (found) => {
        if (found.group === undefined)
            return;
        await found.catchUp();
        const groupInfo = encodeBase64(await found.exportGroupInfo());
        const epoch = found.group.epoch;
        await context.api.call('updateGroupInfo', { convoId, groupInfo, epoch }, { signal: context.signal });
    });
}
async function readd({ context, inOrder }, { convoId, userDid }) {
    const claimed = await claimKeyPackages(context, [userDid]);
    await inOrder(convoId, async (found) => {
        if (found.isInGroup)
            await found.commit(addMembers(context, convoId, claimed));
    });
}
async function addNewDevice({ context, inOrder }, { convoId, pendingAdditionId }) {
    const { api, signal } = context;
    await inOrder(convoId, async (found) => {
        if (!found.isInGroup)
            return;
        const { claimed, keyPackage } = await api.call('claimPendingDeviceAddition', { pendingAdditionId }, { signal });
        if (!claimed || keyPackage === undefined)
            return;
        await found.commit(addDevice(context, convoId, decodeBase64(keyPackage.keyPackage)));
        const newEpoch = found.group?.epoch ?? 0;
        await api.call('completePendingDeviceAddition', { pendingAdditionId, newEpoch }, { signal });
    });
}

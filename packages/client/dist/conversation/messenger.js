import { isApiError } from '../api/api-error.js';
import { encodeHex } from '../api/bytes.js';
import { entriesOf } from '../api/pages.js';
import { openEventStream } from '../stream/event-stream.js';
import { addMembers, claimKeyPackages, removeMember, updateKeys } from './commit-makers.js';
import { LostGroupError } from './conversation-error.js';
import { Conversation } from './conversation.js';
import { openDevice } from './device.js';
import { sha256 } from './digest.js';
import { handleStreamEvent } from './handle-stream-event.js';
import { join, joinExternally } from './join.js';
import { createKeyPackageSupply } from './key-package-supply.js';
import { newConversation } from './new-conversation.js';
import { change, keys, readConvoIds, readDevice, readInbox } from './records.js';
/**
 * Opens the messenger of this device: registers it if it is new, publishes key packages, joins and reads all conversations,
 * and then follows the live stream.
 * @throws ApiError, NoResponseError when the service does not let the device start.
 */
export async function openMessenger(options) {
    const closing = new AbortController();
    const { signal } = closing;
    const { identity, deviceId } = await openDevice(options, signal);
    const { api, engine, storage } = options;
    const emit = async (event) => options.onEvent(event);
    const messenger = new DeviceMessenger(options, { api, engine, storage, identity, deviceId, signal, emit }, closing);
    await messenger.start();
    return messenger;
}
class DeviceMessenger {
    #options;
    #context;
    #closing;
    #supply;
    #conversations = new Map();
    #stream;
    #following = Promise.resolve();
    constructor(options, context, closing) {
        this.#options = options;
        this.#context = context;
        this.#closing = closing;
        this.#supply = createKeyPackageSupply(context, options.keyPackageTarget ?? 20);
    }
    get did() {
        return this.#context.identity.did;
    }
    get deviceId() {
        return this.#context.deviceId;
    }
    async start() {
        const { api, signal, storage } = this.#context;
        await this.#deliverInbox();
        await this.#supply.replenish();
        this.#stream = openEventStream(api, {
            ...this.#options.stream,
            signal,
            cursor: (await readDevice(storage))?.cursor,
            onStateChange: (state) => this.#options.onStateChange?.(state),
        });
        this.#following = this.#follow(this.#stream).catch((error) => this.#report(error));
        await this.#catchUpAll();
    }
    convoIds() {
        return [...this.#conversations.values()].filter(({ isInGroup }) => isInGroup).map(({ convoId }) => convoId);
    }
    group(convoId) {
        const group = this.#conversations.get(convoId)?.group;
        return group && { epoch: group.epoch, members: [...new Set(group.members.map(({ did }) => did))] };
    }
    async createConversation(dids, metadata) {
        const { convoId, record } = await newConversation(this.#context, dids, metadata);
        await this.#inOrder(convoId, (found) => found.enter(record));
        return convoId;
    }
    async addMembers(convoId, dids) {
        const claimed = await claimKeyPackages(this.#context, dids);
        await this.#inOrder(convoId, (found) => found.commit(addMembers(this.#context, convoId, claimed)));
    }
    removeMember(convoId, did) {
        return this.#inOrder(convoId, (found) => found.commit(removeMember(this.#context, convoId, did)));
    }
    updateKeys(convoId) {
        return this.#inOrder(convoId, (found) => found.commit(updateKeys(this.#context, convoId)));
    }
    leave(convoId) {
        const { api, signal } = this.#context;
        return this.#inOrder(convoId, async (found) => {
            await api.call('leaveConvo', { convoId }, { signal });
            await found.exit();
        });
    }
    async joinWithInvite(convoId, secret) {
        const pskHash = encodeHex(await sha256(secret));
        return this.#inOrder(convoId, (found) => joinExternally(this.#context, found, { pskHash }));
    }
    rejoin(convoId) {
        return this.#inOrder(convoId, (found) => joinExternally(this.#context, found, {}));
    }
    send(convoId, content) {
        return this.#inOrder(convoId, (found) => found.send(content));
    }
    catchUp(convoId) {
        return this.#inOrder(convoId, (found) => found.catchUp());
    }
    sendTyping(convoId, isTyping) {
        this.#stream?.sendTyping(convoId, isTyping);
    }
    async close() {
        this.#closing.abort(new ClosedError('the messenger was closed'));
        await this.#following;
        await Promise.all([...this.#conversations.values()].map((each) => each.run(async () => undefined)));
    }
    #report(error) {
        if (!this.#context.signal.aborted)
            this.#options.onError?.(error);
    }
    async #conversation(convoId) {
        const known = this.#conversations.get(convoId);
        if (known !== undefined)
            return known;
        const opened = await Conversation.open(this.#context, convoId);
        // Another call may have opened the same conversation in the meantime.
        const first = this.#conversations.get(convoId) ?? opened;
        this.#conversations.set(convoId, first);
        return first;
    }
    /** Runs `task` in order with the conversation's other operations; a group whose state is lost is joined anew. */
    async #inOrder(convoId, task) {
        const found = await this.#conversation(convoId);
        return found.run(async () => {
            try {
                return await task(found);
            }
            catch (error) {
                if (!(error instanceof LostGroupError))
                    throw error;
                await joinExternally(this.#context, found, {});
                return task(found);
            }
        });
    }
    async #deliverInbox() {
        const { storage, emit } = this.#context;
        for (const { key, convoId, seq, record } of await readInbox(storage)) {
            await emit({ kind: 'message', convoId, seq, ...record });
            await storage.write([change(key, undefined)]);
        }
    }
    /** Brings every conversation up to date, and joins those that have no keys here. */
    async #catchUpAll() {
        const { api, signal, storage } = this.#context;
        const listed = new Set();
        for (const convoId of await readConvoIds(storage))
            await this.#conversation(convoId);
        for await (const { groupId } of entriesOf(api, 'getConvos', { limit: 100 }, { signal }))
            listed.add(groupId);
        for (const convoId of new Set([...listed, ...this.#conversations.keys()])) {
            await this.#inOrder(convoId, (found) => this.#bringUpToDate(found, listed.has(convoId))).catch((error) => this.#report(error));
        }
    }
    async #bringUpToDate(conversation, isMember) {
        try {
            if (conversation.isInGroup)
                await conversation.catchUp();
            else if (isMember)
                await join(this.#context, conversation);
        }
        catch (error) {
            if (!isApiError(error, 'NotMember') && !isApiError(error, 'ConvoNotFound'))
                throw error;
            await conversation.exit();
        }
    }
    async #follow(stream) {
        const { storage } = this.#context;
        const deps = {
            context: this.#context,
            supply: this.#supply,
            inOrder: (convoId, task) => this.#inOrder(convoId, task),
            catchUpAll: () => this.#catchUpAll(),
            onError: (error) => this.#report(error),
            sharedTaskWaitMaxMs: this.#options.sharedTaskWaitMaxMs ?? 3_000,
        };
        for await (const event of stream) {
            await handleStreamEvent(deps, event).catch((error) => this.#report(error));
            const device = await readDevice(storage);
            if (device !== undefined)
                await storage.write([change(keys.device, { ...device, cursor: event.cursor })]);
        }
    }
}
/** The messenger was closed while an operation was running. */
export class ClosedError extends Error {
    name = 'ClosedError';
}

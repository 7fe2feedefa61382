import type { ApiClient } from '../api/api-client.ts';
import type { MlsEngine } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
import type { EventStreamOptions, StreamState } from '../stream/event-stream.ts';
import type { ConversationEvent } from './conversation-event.ts';
export interface MessengerOptions {
    readonly api: ApiClient;
    /** DID of the account that `api` calls for. */
    readonly did: string;
    readonly engine: MlsEngine;
    readonly storage: Storage;
    /** Name of the device, for the person's own list; the service stores it encrypted. */
    readonly deviceName: string;
    /**
     * Called for each event, one after the other within a conversation. The next message is processed when it resolves. A message whose call did
     * not resolve comes again at the next start.
     */
    readonly onEvent: (event: ConversationEvent) => Promise<void> | void;
    /** Called when the live connection changes. */
    readonly onStateChange?: (state: StreamState) => void;
    /** Called for errors of work that no caller waits for; the messenger goes on. */
    readonly onError?: (error: unknown) => void;
    /** One-time key packages that others should be able to claim; default 20. */
    readonly keyPackageTarget?: number;
    /**
     * Tasks that any member can do (a removal after somebody left, a new device, a GroupInfo) are done after a random wait of up to this long,
     * so that mostly one member does them; default 3,000.
     */
    readonly sharedTaskWaitMaxMs?: number;
    readonly stream?: Pick<EventStreamOptions, 'transport' | 'waitMaxMs' | 'idleTimeoutMs'>;
}
/** All conversations of one device. */
export interface Messenger {
    readonly did: string;
    readonly deviceId: string;
    /** Ids of the conversations in whose groups this device is. */
    convoIds(): string[];
    /** DIDs of the members of the MLS group and its epoch; undefined where this device is not in the group. */
    group(convoId: string): {
        readonly epoch: number;
        readonly members: readonly string[];
    } | undefined;
    /** Creates a conversation with these people. @returns its id. @throws NoKeyPackageError, ApiError. */
    createConversation(dids: readonly string[], metadata?: {
        name?: string;
        description?: string;
    }): Promise<string>;
    /** Adds people with all their devices. @throws NoKeyPackageError, TooManyEpochRacesError, ApiError. */
    addMembers(convoId: string, dids: readonly string[]): Promise<void>;
    /** @throws TooManyEpochRacesError, ApiError. */
    removeMember(convoId: string, did: string): Promise<void>;
    /** Leaves; a remaining member commits the removal. @throws ApiError `LastMember` or `LastAdmin`. */
    leave(convoId: string): Promise<void>;
    /** Joins with the secret of an invite. @throws ApiError. */
    joinWithInvite(convoId: string, secret: Uint8Array): Promise<boolean>;
    /** Joins anew by an external commit, for a group whose state is lost. */
    rejoin(convoId: string): Promise<boolean>;
    /** Renews this device's keys in a group. @throws TooManyEpochRacesError, ApiError. */
    updateKeys(convoId: string): Promise<void>;
    /** Encrypts and sends. It is stored before it is sent. @returns the message's id. */
    send(convoId: string, content: Uint8Array): Promise<string>;
    /** Processes everything that the service has of a conversation, and sends what was not sent. @throws ApiError, NoResponseError. */
    catchUp(convoId: string): Promise<void>;
    sendTyping(convoId: string, isTyping: boolean): void;
    /** Ends the stream and waits for running operations. */
    close(): Promise<void>;
}
/**
 * Opens the messenger of this device: registers it if it is new, publishes key packages, joins and reads all conversations,
 * and then follows the live stream.
 * @throws ApiError, NoResponseError when the service does not let the device start.
 */
export declare function openMessenger(options: MessengerOptions): Promise<Messenger>;
/** The messenger was closed while an operation was running. */
export declare class ClosedError extends Error {
    readonly name = "ClosedError";
}

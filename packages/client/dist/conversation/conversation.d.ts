import type { MessageView } from '../api/methods.ts';
import type { GroupDescription, PendingCommit } from '../mls/mls-engine.ts';
import type { StorageChange } from '../storage/storage.ts';
import type { Context } from './context.ts';
import type { CommitCall, GroupRecord } from './records.ts';
/** Makes a commit for the present state; undefined when there is nothing to change any more. */
export type CommitMaker = (record: GroupRecord, group: GroupDescription) => Promise<{
    readonly pending: PendingCommit;
    readonly call: CommitCall;
} | undefined>;
/**
 * One conversation on this device. All operations run one after the other; each stores the next state of the group before anything that
 * depends on it leaves the device, and before the app or the service learns that a message was processed.
 */
export declare class Conversation {
    #private;
    readonly convoId: string;
    private constructor();
    /** The conversation as stored. */
    static open(context: Context, convoId: string): Promise<Conversation>;
    get isInGroup(): boolean;
    /** Epoch and members of the MLS group; undefined when the device has no keys of it. */
    get group(): GroupDescription | undefined;
    /** Runs `task` after all earlier operations of this conversation. */
    run<Result>(task: () => Promise<Result>): Promise<Result>;
    /**
     * Stores the keys of a group that this device creates or joins, with `more` in one write, and sends the call that does so if there is one.
     * @throws ApiError, NoResponseError; after an ApiError the keys are deleted.
     */
    enter(record: GroupRecord, more?: readonly StorageChange[]): Promise<void>;
    /** Deletes the keys of the group. */
    exit(): Promise<void>;
    /** Processes all messages of the log that this device has not processed, then sends what was not sent. */
    catchUp(): Promise<void>;
    /** Processes a message that the stream delivered; reads the log if others are missing before it. */
    receive(message: MessageView): Promise<void>;
    /**
     * Encrypts and sends a message. It is stored on this device before it is sent, and sent again after a crash until the service has it.
     * @returns its id.
     * @throws NotInGroupError, MessageTooLargeError, ApiError, NoResponseError; after the last the message stays to be sent.
     */
    send(content: Uint8Array): Promise<string>;
    /**
     * Makes a commit and sends it. If another commit wins the epoch, the device processes that one and tries again.
     * @throws NotInGroupError, TooManyEpochRacesError, ApiError, NoResponseError.
     */
    commit(make: CommitMaker): Promise<void>;
    /** GroupInfo of the current epoch. @throws NotInGroupError. */
    exportGroupInfo(): Promise<Uint8Array>;
}

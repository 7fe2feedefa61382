import type { Context } from './context.ts';
import type { Conversation } from './conversation.ts';
/**
 * Brings this device into a conversation of its person: by the Welcome that waits for it, or else by an external commit.
 * @returns false when neither is possible now; the members were asked for a GroupInfo then.
 */
export declare function join(context: Context, conversation: Conversation): Promise<boolean>;
export interface ExternalJoinOptions {
    /** SHA-256 of the secret of an invite, in hex, for a person who is not a member. */
    readonly pskHash?: string | undefined;
}
/** Joins by an external commit, which replaces a leaf that this device had before. */
export declare function joinExternally(context: Context, conversation: Conversation, { pskHash }: ExternalJoinOptions): Promise<boolean>;

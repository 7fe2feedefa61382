import type { CommitRefusalReason } from './check-commit.ts';

/** What happens in the conversations of a device, in the order of each conversation. */
export type ConversationEvent =
  /** An application message. An event that the app has seen comes again after a crash, with the same `convoId` and `seq`. */
  | {
      readonly kind: 'message';
      readonly convoId: string;
      readonly seq: number;
      readonly messageId: string;
      /** DID of the sender, from the sender's MLS credential. */
      readonly senderDid: string;
      readonly content: Uint8Array;
      /** Time at which the service received the message, rounded. */
      readonly receivedAt: string;
    }
  /** This device is in the group now. */
  | { readonly kind: 'joined'; readonly convoId: string }
  /** The members of the MLS group are now `members`. */
  | { readonly kind: 'epoch'; readonly convoId: string; readonly epoch: number; readonly members: readonly string[] }
  /** This person is not a member any more; the device has deleted the group's keys. */
  | { readonly kind: 'removed'; readonly convoId: string }
  /** A person has another role now: `member`, `moderator` or `admin`. People who join are members. */
  | { readonly kind: 'role'; readonly convoId: string; readonly did: string; readonly role: string }
  /** A stored message that this device cannot decrypt, for example from before it joined anew. */
  | { readonly kind: 'unreadable'; readonly convoId: string; readonly seq: number }
  /** The service has refused a message that this device sent again later, for example because a policy forbids it. */
  | { readonly kind: 'refused'; readonly convoId: string; readonly messageId: string; readonly error: string }
  /**
   * A member made a commit that their role forbids, and this device does not apply it. It comes again at each start. Nothing is sent or
   * received in this conversation until the app calls `rejoin`; before, the app can report the committer by `reportMember`, and an admin can
   * rejoin, remove the committer, and add the person again who was removed.
   */
  | {
      readonly kind: 'commit-refused';
      readonly convoId: string;
      /** The epoch that the commit would start. */
      readonly epoch: number;
      readonly committerDid: string;
      readonly reason: CommitRefusalReason;
    }
  /** A person is typing or has stopped. */
  | { readonly kind: 'typing'; readonly convoId: string; readonly did: string; readonly isTyping: boolean };

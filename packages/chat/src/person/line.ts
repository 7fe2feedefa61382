/** One line of a conversation's history, in the order in which this device has learned of it. */
export type Line =
  | {
      readonly kind: 'message';
      readonly seq: number;
      readonly messageId: string;
      readonly senderDid: string;
      readonly text: string;
      readonly receivedAt: string;
    }
  /** This person is in the group now. */
  | { readonly kind: 'joined'; readonly epoch: number; readonly members: readonly string[] }
  | { readonly kind: 'added' | 'removed'; readonly epoch: number; readonly did: string }
  /** An epoch began without a change of the members. */
  | { readonly kind: 'keys-renewed'; readonly epoch: number }
  /** This person is not in the group any more. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'unreadable'; readonly seq: number }
  /** A member made a commit that their role forbids; this device does not follow it. */
  | { readonly kind: 'commit-refused'; readonly committerDid: string };

/** What the page keeps of one conversation besides its lines. */
export interface ConversationFacts {
  readonly members: readonly string[];
  readonly epoch: number;
  /** Whether this person is in the group. */
  readonly isMember: boolean;
  readonly unreadCount: number;
  /** The epoch of a commit that this device has refused; until it joins again, it sends and receives nothing here. */
  readonly refusedEpoch?: number | undefined;
}

/** A message that this person has written and that has not come back from the service. */
export interface Unsent {
  readonly order: number;
  readonly text: string;
  /**
   * `waiting`: for the connection. `sending`: the messenger has it. `unknown`: the messenger may have it. `failed`: the server has refused
   * it, and the person decides.
   */
  readonly state: 'waiting' | 'sending' | 'unknown' | 'failed';
  readonly problem?: string | undefined;
  /** Known once the service has the message. */
  readonly messageId?: string | undefined;
}

/** Everything that the page shows of one conversation. */
export interface ConversationHistory {
  readonly convoId: string;
  readonly facts: ConversationFacts;
  readonly lines: readonly Line[];
  readonly unsent: readonly Unsent[];
}

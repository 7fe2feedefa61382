/* Written by `npm run codegen` from the lexicons; do not edit. */

/** A conversation as one of its members sees it. */
export interface ConvoView {
  /** MLS group id in hex. It is the id of the conversation. */
  readonly groupId: string;
  /** DID of the person who created it. */
  readonly creator: string;
  /** The members. */
  readonly members: readonly MemberView[];
  /** The current epoch. */
  readonly epoch: number;
  /** Cipher suite of the group. */
  readonly cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {});
  /** Creation time, rounded to a time bucket. */
  readonly createdAt: string;
  /** Time of the newest message or commit that getMessages returns to the caller, rounded to a time bucket. Absent if there is none. */
  readonly lastMessageAt?: string | undefined;
  /** Name and description. */
  readonly metadata?: ConvoMetadata | undefined;
  /** DIDs of people who left or were removed and are still in the MLS group. Any member may call removeMember with the commit that removes them. Absent if there are none. */
  readonly needsRemovalCommit?: readonly string[] | undefined;
}

/** Name and description of a conversation. */
export interface ConvoMetadata {
  /** Name to display. */
  readonly name?: string | undefined;
  /** Description of the conversation. */
  readonly description?: string | undefined;
}

/** A member of a conversation. */
export interface MemberView {
  /** DID of the member. */
  readonly did: string;
  /** DID of the person, without a device id. */
  readonly userDid: string;
  /** Never sent: a member is a person, and the service does not store which devices are in a group. */
  readonly deviceId?: string | undefined;
  /** Never sent, as deviceId. */
  readonly deviceName?: string | undefined;
  /** Time of joining, rounded to a time bucket. */
  readonly joinedAt: string;
  /** True if the member may remove and promote others. */
  readonly isAdmin: boolean;
  /** True if the member may warn others and read reports. */
  readonly isModerator?: boolean | undefined;
  /** Time at which the member became admin or moderator, rounded to a time bucket. Absent if the member had the role from the start. */
  readonly promotedAt?: string | undefined;
  /** Never sent: the service does not store who gave the role. */
  readonly promotedBy?: string | undefined;
  /** Never sent, as deviceId. The ratchet tree has it. */
  readonly leafIndex?: number | undefined;
  /** Never sent, as deviceId. The ratchet tree has it. */
  readonly credential?: Uint8Array | undefined;
}

/** A stored message. Clients process messages in ascending order of seq. */
export interface MessageView {
  /** The msgId that the sender chose. */
  readonly id: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** The MLS message. Only members, who can decrypt it, learn its sender. */
  readonly ciphertext: Uint8Array;
  /** Epoch of the message. */
  readonly epoch: number;
  /** Sequence number of the message in the conversation. Numbers only grow, and none is used twice. */
  readonly seq: number;
  /** Time of receipt, rounded to a time bucket. */
  readonly createdAt: string;
  /** Whether the message is an application message or a commit. */
  readonly messageType?: 'app' | 'commit' | undefined;
  /** Only for commits: SHA-256 of ciphertext. With it a client identifies its own commit. */
  readonly digest?: Uint8Array | undefined;
}

/** A key package with which to add a person. */
export interface KeyPackageRef {
  /** DID of the owner of the key package. */
  readonly did: string;
  /** Bare MLS KeyPackage in base64. */
  readonly keyPackage: string;
  /** KeyPackageRef of the key package in hex. */
  readonly keyPackageHash?: string | undefined;
  /** Cipher suite of the key package. */
  readonly cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {});
}

/** A message that the service stored until the recipient accepted the request. */
export interface AcceptChatRequestDeliveredMessage {
  /** Id of the message. */
  readonly id: string;
  /** The bytes as the sender sent them. */
  readonly ciphertext: Uint8Array;
  /** Size of ciphertext in bytes. */
  readonly paddedSize: number;
  /** Number of the message within the request, counted from 1. */
  readonly sequence: number;
  /** The sender's ephemeral key. */
  readonly ephPubKey?: Uint8Array | undefined;
}

/** Names the key package that the Welcome uses for one person. */
export interface AddMembersKeyPackageHashEntry {
  /** DID of the owner of the key package. */
  readonly did: string;
  /** KeyPackageRef (RFC 9420 section 5.2) in lower-case hex, as getKeyPackages returned it. */
  readonly hash: string;
}

/** A block of one person by another. */
export interface CheckBlocksBlockRelationship {
  /** DID of the person who blocks. */
  readonly blockerDid: string;
  /** DID of the person who is blocked. */
  readonly blockedDid: string;
  /** Creation time that the block record contains. */
  readonly createdAt: string;
  /** AT URI of the block record. */
  readonly blockUri?: string | undefined;
}

/** Name and description of a conversation. */
export interface CreateConvoMetadataInput {
  /** Name to display. */
  readonly name?: string | undefined;
  /** Description of the conversation. */
  readonly description?: string | undefined;
}

/** Names the key package that the Welcome uses for one person. */
export interface CreateConvoKeyPackageHashEntry {
  /** DID of the owner of the key package. */
  readonly did: string;
  /** KeyPackageRef (RFC 9420 section 5.2) in lower-case hex, as getKeyPackages returned it. */
  readonly hash: string;
}

/** An invite as admins see it. */
export interface CreateInviteInviteView {
  /** Id of the invite. */
  readonly inviteId: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person who created it. */
  readonly createdBy: string;
  /** Creation time, rounded to a time bucket. */
  readonly createdAt: string;
  /** SHA-256 of the secret as 64 hex digits. The secret itself never reaches the service. */
  readonly pskHash: string;
  /** DID of the only person who may use the invite. */
  readonly targetDid?: string | undefined;
  /** Time at which the invite expires. Without it the invite never expires. */
  readonly expiresAt?: string | undefined;
  /** How often the invite may be used. Without it there is no limit. */
  readonly maxUses?: number | undefined;
  /** How often the invite was used. */
  readonly useCount: number;
  /** True if the invite is revoked. */
  readonly isRevoked: boolean;
  /** Time of the revocation, rounded to a time bucket. */
  readonly revokedAt?: string | undefined;
  /** DID of the person who revoked it. */
  readonly revokedBy?: string | undefined;
}

/** Counts of one conversation. */
export interface GetAdminStatsModerationStats {
  /** Number of reports. */
  readonly totalReports: number;
  /** Number of reports without a decision. */
  readonly pendingReports: number;
  /** Number of reports with a decision. */
  readonly resolvedReports: number;
  /** Number of members that admins removed. */
  readonly totalRemovals: number;
  /** Number of conflicts between members who block each other that have ended. */
  readonly blockConflictsResolved: number;
  /** Number of reports by category. */
  readonly reportsByCategory?: GetAdminStatsReportCategoryCounts | undefined;
  /** Mean time until a decision, in full hours. */
  readonly averageResolutionTimeHours?: number | undefined;
}

/** Number of reports by category. */
export interface GetAdminStatsReportCategoryCounts {
  /** Harassment. */
  readonly harassment?: number | undefined;
  /** Spam. */
  readonly spam?: number | undefined;
  /** Hate speech. */
  readonly hateSpeech?: number | undefined;
  /** Violence. */
  readonly violence?: number | undefined;
  /** Sexual content. */
  readonly sexualContent?: number | undefined;
  /** Impersonation. */
  readonly impersonation?: number | undefined;
  /** Violation of privacy. */
  readonly privacyViolation?: number | undefined;
  /** Any other reason. */
  readonly otherCategory?: number | undefined;
}

/** A commit. */
export interface GetCommitsCommitMessage {
  /** The epoch that the commit began. */
  readonly epoch: number;
  /** Never sent: the service does not store the sender. Members learn it from the commit. */
  readonly sender?: string | undefined;
  /** MLS Commit. */
  readonly commitData: Uint8Array;
  /** SHA-256 of commitData. With it a client identifies its own commit. */
  readonly digest?: Uint8Array | undefined;
  /** Time of receipt, rounded to a time bucket. */
  readonly createdAt: string;
}

/** A conversation of the caller. */
export interface GetExpectedConversationsExpectedConversation {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** Name of the conversation; empty if it has none. */
  readonly name: string;
  /** Number of members. */
  readonly memberCount: number;
  /** True if the caller's devices should be in the MLS group. */
  readonly shouldBeInGroup: boolean;
  /** Time of the newest message or commit that getMessages returns to the caller, rounded to a time bucket. Absent if there is none. */
  readonly lastActivity?: string | undefined;
  /** True if the device has requested to be added again. */
  readonly needsRejoin?: boolean | undefined;
  /** True if the device has joined, as far as the service can see. */
  readonly deviceInGroup?: boolean | undefined;
}

/** A key package and what happened to it. */
export interface GetKeyPackageHistoryKeyPackageHistoryEntry {
  /** KeyPackageRef in hex. */
  readonly packageId: string;
  /** Time of publication, rounded to a time bucket. */
  readonly createdAt: string;
  /** Time of use, rounded to a time bucket. */
  readonly consumedAt?: string | undefined;
  /** Never sent: the service does not store which conversation used a key package. */
  readonly consumedForConvo?: string | undefined;
  /** Never sent: the service does not store which conversation used a key package. */
  readonly consumedForConvoName?: string | undefined;
  /** Never sent: the service does not store which device used a key package. */
  readonly consumedByDevice?: string | undefined;
  /** The device that published it. */
  readonly deviceId?: string | undefined;
  /** Cipher suite of the key package. */
  readonly cipherSuite: string;
}

export interface GetKeyPackageStatsCipherSuiteStats {
  /** Name of the cipher suite. */
  readonly cipherSuite: string;
  /** Number of available key packages. */
  readonly available: number;
  /** Number of key packages that were claimed or used. */
  readonly consumed?: number | undefined;
}

/** A used key package. */
export interface GetKeyPackageStatusConsumedPackageView {
  /** KeyPackageRef in hex. */
  readonly keyPackageHash: string;
  /** Never sent: the service does not store which conversation used a key package. */
  readonly usedInGroup?: string | undefined;
  /** Time of use, rounded to a time bucket. */
  readonly consumedAt: string;
  /** Cipher suite of the key package. */
  readonly cipherSuite?: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {}) | undefined;
}

/** Sequence numbers for which a client need not wait. */
export interface GetMessagesGapInfo {
  /** True if a sequence number is missing. */
  readonly hasGaps: boolean;
  /** The missing sequence numbers, as far as they can be listed. */
  readonly missingSeqs: readonly number[];
  /** Number of stored messages. */
  readonly totalMessages: number;
}

/** Whether one person uses MLS chats. */
export interface GetOptInStatusOptInStatus {
  /** DID of the person. */
  readonly did: string;
  /** True if the person uses MLS chats. */
  readonly optedIn: boolean;
  /** Time of the opt-in, rounded to a time bucket. Only in the caller's own entry. */
  readonly optedInAt?: string | undefined;
}

/** A device, and the conversation that it is to be added to. */
export interface GetPendingDeviceAdditionsPendingDeviceAddition {
  /** Id for claimPendingDeviceAddition. */
  readonly id: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the owner of the device. */
  readonly userDid: string;
  /** UUID of the device. */
  readonly deviceId: string;
  /** Name of the device. */
  readonly deviceName?: string | undefined;
  /** The person's DID, followed by # and the device id. */
  readonly deviceCredentialDid: string;
  /** Whether a member has the claim. */
  readonly status: 'pending' | 'in_progress' | (string & {});
  /** DID of the member who has the claim. */
  readonly claimedBy?: string | undefined;
  /** Time of the registration, rounded to a time bucket. */
  readonly createdAt: string;
}

/** A report as admins see it. */
export interface GetReportsReportView {
  /** Id for resolveReport. */
  readonly id: string;
  /** DID of the reporter. */
  readonly reporterDid: string;
  /** DID of the reported person. */
  readonly reportedDid: string;
  /** Text of the report, which the reporter encrypted for the admins. */
  readonly encryptedContent: Uint8Array;
  /** Time of the report, rounded to a time bucket. */
  readonly createdAt: string;
  /** Whether a decision was made. */
  readonly status: 'pending' | 'resolved' | 'dismissed' | (string & {});
  /** DID of the person who decided. */
  readonly resolvedBy?: string | undefined;
  /** Time of the decision, rounded to a time bucket. */
  readonly resolvedAt?: string | undefined;
  /** Category that the reporter chose. */
  readonly category?: string | undefined;
  /** Ids of the messages that the report is about. */
  readonly messageIds?: readonly string[] | undefined;
  /** The decision. */
  readonly action?: string | undefined;
  /** Remarks of the person who decided. */
  readonly notes?: string | undefined;
}

/** A conversation with both people. */
export interface HandleBlockChangeAffectedConvo {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** Effect on the conversation. */
  readonly action: 'admin_notified' | 'auto_removed' | 'requires_resolution' | 'no_action' | (string & {});
  /** Always false: the service notifies nobody about blocks. */
  readonly adminNotified: boolean;
  /** Never sent: the service notifies nobody about blocks. */
  readonly notificationSentAt?: string | undefined;
}

/** A chat request. */
export interface ListChatRequestsChatRequest {
  /** Id for acceptChatRequest and declineChatRequest. */
  readonly id: string;
  /** DID of the sender. */
  readonly senderDid: string;
  /** State of the request. */
  readonly status: 'pending' | 'accepted' | 'declined' | 'blocked' | 'expired';
  /** Time of the request, rounded to a time bucket. */
  readonly createdAt: string;
  /** Time at which the request expires. */
  readonly expiresAt: string;
  /** Preview that the sender wrote. */
  readonly previewText?: string | undefined;
  /** Number of messages that are stored with the request. */
  readonly messageCount?: number | undefined;
  /** True if the request is an invitation to a group. */
  readonly isGroupInvite?: boolean | undefined;
  /** Id of the group. */
  readonly groupId?: string | undefined;
}

export interface ListDevicesDeviceInfo {
  /** UUID of the device. */
  readonly deviceId: string;
  /** Name from the registration. */
  readonly deviceName: string;
  /** deviceUUID from the registration. */
  readonly deviceUUID?: string | undefined;
  /** The caller's DID, followed by # and the device id. */
  readonly credentialDid: string;
  /** Time at which the device last published or fetched something, rounded to a time bucket. */
  readonly lastSeenAt: string;
  /** Time of the first registration, rounded to a time bucket. */
  readonly registeredAt: string;
  /** Number of unused key packages. */
  readonly keyPackageCount: number;
}

/** Content that clients put into the ciphertext. The service never sees it. */
export interface MessagedefsPayloadView {
  /** Version of this format. */
  readonly version: number;
  /** Which of the fields below is used. */
  readonly messageType: 'text' | 'adminRoster' | 'adminAction' | 'reaction' | 'readReceipt' | 'typing' | (string & {});
  /** Text of the message. */
  readonly text?: string | undefined;
  /** Content to display with the text. */
  readonly embed?: ({ readonly $type: 'blue.catbird.mls.message.defs#recordEmbed' } & MessagedefsRecordEmbed) | ({ readonly $type: 'blue.catbird.mls.message.defs#linkEmbed' } & MessagedefsLinkEmbed) | ({ readonly $type: 'blue.catbird.mls.message.defs#gifEmbed' } & MessagedefsGifEmbed) | undefined;
  /** The list of admins. */
  readonly adminRoster?: MessagedefsAdminRoster | undefined;
  /** Action of an admin. */
  readonly adminAction?: MessagedefsAdminAction | undefined;
  /** A reaction. */
  readonly reaction?: MessagedefsReactionPayload | undefined;
  /** A read receipt. */
  readonly readReceipt?: MessagedefsReadReceiptPayload | undefined;
  /** A typing notification. */
  readonly typing?: MessagedefsTypingPayload | undefined;
}

/** A quoted record. */
export interface MessagedefsRecordEmbed {
  /** URI of the record. */
  readonly uri: string;
  /** CID of the record. */
  readonly cid?: string | undefined;
  /** DID of the author. */
  readonly authorDid: string;
  /** First part of the text. */
  readonly previewText?: string | undefined;
  /** Creation time of the record. */
  readonly createdAt?: string | undefined;
}

/** A link with a preview. */
export interface MessagedefsLinkEmbed {
  /** URL of the page. */
  readonly url: string;
  /** Title of the page. */
  readonly title?: string | undefined;
  /** Summary of the page. */
  readonly description?: string | undefined;
  /** URL of a preview image. */
  readonly thumbnailURL?: string | undefined;
  /** Host name to display. */
  readonly domain?: string | undefined;
}

/** An animated image. */
export interface MessagedefsGifEmbed {
  /** URL of the original. */
  readonly tenorURL: string;
  /** URL of the MP4 version. */
  readonly mp4URL: string;
  /** Description of the image. */
  readonly title?: string | undefined;
  /** URL of a preview image. */
  readonly thumbnailURL?: string | undefined;
  /** Width in pixels. */
  readonly width?: number | undefined;
  /** Height in pixels. */
  readonly height?: number | undefined;
}

/** The list of admins, which the members exchange among themselves. */
export interface MessagedefsAdminRoster {
  /** Version number. It grows with each change. */
  readonly version: number;
  /** The admins. */
  readonly admins: readonly string[];
  /** SHA-256 of version and admins. */
  readonly hash?: string | undefined;
}

/** Reports an action of an admin to the members. */
export interface MessagedefsAdminAction {
  /** The action. */
  readonly action: 'promote' | 'demote' | 'remove' | (string & {});
  /** DID of the person concerned. */
  readonly targetDid: string;
  /** Time of the action. */
  readonly timestamp: string;
  /** Reason for the action. */
  readonly reason?: string | undefined;
}

/** A reaction to a message. */
export interface MessagedefsReactionPayload {
  /** The message. */
  readonly messageId: string;
  /** The reaction. */
  readonly emoji: string;
  /** Whether the reaction is added or removed. */
  readonly action: 'add' | 'remove' | (string & {});
}

/** Reports that a message was read. */
export interface MessagedefsReadReceiptPayload {
  /** The message. */
  readonly messageId: string;
}

/** Reports that a person is typing. */
export interface MessagedefsTypingPayload {
  /** True if the person has started typing, false if they have stopped. */
  readonly isTyping: boolean;
  /** Time in milliseconds since 1970. */
  readonly ts?: number | undefined;
}

export interface PublishKeyPackagesKeyPackageItem {
  /** MLS KeyPackage, bare or in an MLSMessage, in base64. */
  readonly keyPackage: string;
  /** Cipher suite of the key package. It must be the one inside the package. */
  readonly cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {});
  /** Time after which others should not use the key package. The service shortens times beyond its limit. */
  readonly expires: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
  /** Id of the device that has the private keys. */
  readonly deviceId?: string | undefined;
}

export interface PublishKeyPackagesBatchError {
  /** Position in the list, from 0. */
  readonly index: number;
  /** Name of the error. */
  readonly error: string;
  /** The rule that the key package breaks, and what to do. */
  readonly message?: string | undefined;
}

export interface RegisterDeviceKeyPackageItem {
  /** MLS KeyPackage, bare or in an MLSMessage, in base64. */
  readonly keyPackage: string;
  /** Name of the package's cipher suite. */
  readonly cipherSuite: string;
  /** Time after which others should not use the key package. The service shortens times beyond its limit. */
  readonly expires: string;
}

export interface RegisterDeviceWelcomeMessage {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** MLS Welcome in base64. */
  readonly welcome: string;
}

/** A message that the service stores until the recipient accepts the request. */
export interface SendChatRequestHeldMessage {
  /** The encrypted message. */
  readonly ciphertext: Uint8Array;
  /** Size of ciphertext in bytes. It must be one of the size buckets. */
  readonly paddedSize: number;
  /** The sender's ephemeral key. */
  readonly ephPubKey?: Uint8Array | undefined;
}

/** A single event. */
export interface EventWrapper {
  /** The event. */
  readonly event: ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#messageEvent' } & MessageEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#reactionEvent' } & ReactionEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#typingEvent' } & TypingEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#infoEvent' } & InfoEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#newDeviceEvent' } & NewDeviceEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#groupInfoRefreshRequestedEvent' } & GroupInfoRefreshRequestedEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#readditionRequestedEvent' } & ReadditionRequestedEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#membershipChangeEvent' } & MembershipChangeEvent) | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#readEvent' } & ReadEvent);
}

/** A message or commit arrived. */
export interface MessageEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  readonly message: MessageView;
  /** True if the message is not stored. */
  readonly ephemeral?: boolean | undefined;
}

/** Reserved for a reaction that the service can see. Clients send reactions encrypted. */
export interface ReactionEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** The message. */
  readonly messageId: string;
  /** DID of the person who reacted. */
  readonly did: string;
  /** The reaction. */
  readonly reaction: string;
  /** Whether the reaction was added or removed. */
  readonly action: 'add' | 'remove' | (string & {});
}

/** A person is typing. */
export interface TypingEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person who is typing. */
  readonly did: string;
  /** True if the person has started typing, false if they have stopped. */
  readonly isTyping: boolean;
}

/** A notice from the service. */
export interface InfoEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Text of the notice about the connection or a device of the caller, or text of a warning. */
  readonly info: string;
  /** Only for a warning: the conversation in which the caller was warned. */
  readonly convoId?: string | undefined;
  /** Only for a warning: its id. Only the warned person receives it. */
  readonly warningId?: string | undefined;
  /** Only for a warning: the reason that the moderator wrote. */
  readonly reason?: string | undefined;
  /** Kind of the notice, for programs. Every stream begins with streamOpened or cursorUnknown, and the cursor of this notice is the start of the stream. After cursorUnknown and eventsExpired, fetch missing messages with getMessages. */
  readonly code?: 'streamOpened' | 'cursorUnknown' | 'eventsExpired' | 'keyPackagesLow' | (string & {}) | undefined;
  /** Only for keyPackagesLow: the device that should publish key packages. */
  readonly deviceId?: string | undefined;
  /** Only for keyPackagesLow: the number of available key packages of the device. */
  readonly available?: number | undefined;
}

/** A member has a new device that waits to be added. */
export interface NewDeviceEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the owner of the device. */
  readonly userDid: string;
  /** UUID of the device. */
  readonly deviceId: string;
  /** Name of the device. */
  readonly deviceName?: string | undefined;
  /** The person's DID, followed by # and the device id. */
  readonly deviceCredentialDid: string;
  /** Id for claimPendingDeviceAddition. */
  readonly pendingAdditionId: string;
}

/** A member needs a current GroupInfo. */
export interface GroupInfoRefreshRequestedEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the member. */
  readonly requestedBy: string;
  /** Time of the request, rounded to a time bucket. */
  readonly requestedAt: string;
}

/** A member who has lost the group state requests to be added again. */
export interface ReadditionRequestedEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the member. */
  readonly userDid: string;
  /** Time of the request, rounded to a time bucket. */
  readonly requestedAt: string;
}

/** A person has joined, left, been removed, or got another role. */
export interface MembershipChangeEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person. */
  readonly did: string;
  /** Whether the person joined, left, was removed, or got another role. Clients skip values that they do not know. */
  readonly action: 'joined' | 'left' | 'removed' | 'kicked' | 'roleChanged' | (string & {});
  /** Never sent. */
  readonly actor?: string | undefined;
  /** Never sent. */
  readonly reason?: string | undefined;
  /** The epoch after the change. */
  readonly epoch: number;
  /** Only for roleChanged: the role that the person has from now on. */
  readonly role?: 'member' | 'moderator' | 'admin' | (string & {}) | undefined;
}

/** Reserved for a read receipt that the service can see. Clients send receipts encrypted. */
export interface ReadEvent {
  /** Cursor with which to resume after this event. */
  readonly cursor: string;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the reader. */
  readonly did: string;
  /** Id of the last message that was read. */
  readonly messageId?: string | undefined;
  /** Time of reading. */
  readonly readAt: string;
}

/** The policy of one conversation. */
export interface UpdatePolicyPolicyView {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** If true, invites may be created and used. */
  readonly allowInvites: boolean;
  /** If true, only admins may create invites. */
  readonly adminOnlyInvites: boolean;
  /** If true, all members may add people. Otherwise only admins may. */
  readonly allowMemberAdd: boolean;
  /** If true, all members may remove people. Otherwise only admins may. */
  readonly allowMemberRemove: boolean;
  /** If true, people can join only if an admin adds them. */
  readonly requireAdminApproval: boolean;
  /** Maximum number of members. */
  readonly maxMembers: number;
  /** Form of the members' commits and proposals: PublicMessage, which the service checks, PrivateMessage, which the service cannot read, or either. The operator's setting takes precedence over the admins' choice. */
  readonly handshakes?: 'any' | 'plaintext' | 'encrypted' | undefined;
  /** Time of the last change, rounded to a time bucket. */
  readonly updatedAt: string;
  /** DID of the person who made the last change. */
  readonly updatedBy?: string | undefined;
}

/** Counts of key packages. */
export interface ValidateDeviceStateKeyPackageInventory {
  /** Number of available key packages. */
  readonly available: number;
  /** Number of key packages that the device should have. */
  readonly target: number;
  /** True if the client should publish more key packages now. */
  readonly needsReplenishment: boolean;
  /** Number of these that belong to this device. */
  readonly perDeviceCount?: number | undefined;
}

/** Every event of a stream. */
export type StreamEvent =
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#messageEvent' } & MessageEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#reactionEvent' } & ReactionEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#typingEvent' } & TypingEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#infoEvent' } & InfoEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#newDeviceEvent' } & NewDeviceEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#groupInfoRefreshRequestedEvent' } & GroupInfoRefreshRequestedEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#readditionRequestedEvent' } & ReadditionRequestedEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#membershipChangeEvent' } & MembershipChangeEvent)
  | ({ readonly $type: 'blue.catbird.mls.subscribeConvoEvents#readEvent' } & ReadEvent);

/** Request, response and declared errors of every method. */
export interface Methods {
  /** Accepts a chat request and returns the messages that were stored with it. */
  readonly acceptChatRequest: {
    readonly request: {
  /** Id of the request. */
  readonly requestId: string;
  /** MLS Welcome for the sender. It creates the conversation, and its MLS group id must be the request's id without dashes, as 16 bytes. */
  readonly welcomeData?: Uint8Array | undefined;
};
    readonly response: {
  /** For an invitation to a group: that group. Otherwise the request's id without dashes. */
  readonly convoId: string;
  /** The messages that the sender stored with the request. */
  readonly heldMessages: readonly AcceptChatRequestDeliveredMessage[];
  /** Time of the acceptance, rounded to a time bucket. */
  readonly acceptedAt: string;
};
    readonly errors: 'RequestNotFound' | 'RequestExpired' | 'AlreadyProcessed' | 'ConvoAlreadyExists' | 'InvalidWelcome' | 'KeyPackageNotFound' | 'TooManyConversations';
  };
  /** Adds people to a conversation. The commit, the Welcome and the changed membership take effect together or not at all. */
  readonly addMembers: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
  /** DIDs of the people to add. */
  readonly didList: readonly string[];
  /** MLS Commit that adds them, in base64. Its epoch must be the current one. */
  readonly commit?: string | undefined;
  /** MLS Welcome for all added people, bare or in an MLSMessage, in base64. */
  readonly welcomeMessage?: string | undefined;
  /** The key packages that the Welcome uses. */
  readonly keyPackageHashes?: readonly AddMembersKeyPackageHashEntry[] | undefined;
  /** MLS GroupInfo of the epoch that this call begins, with ratchet_tree and external_pub, bare or in an MLSMessage, in base64. With it, others can join by external commit at once. */
  readonly groupInfo?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
  /** The current epoch. */
  readonly newEpoch: number;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'KeyPackageNotFound' | 'AlreadyMember' | 'TooManyMembers' | 'BlockedByMember' | 'EpochMismatch' | 'InvalidCommit' | 'InvalidWelcome' | 'InvalidGroupInfo' | 'TooManyConversations' | 'PolicyViolation' | 'IdempotencyKeyReused';
  };
  /** Refuses all present and future chat requests of one person. */
  readonly blockChatSender: {
    readonly request: {
  /** DID of the person to block. */
  readonly senderDid: string;
  /** The request that is the reason for the block. */
  readonly requestId?: string | undefined;
  /** Reason for the block. The service does not store it. */
  readonly reason?: 'spam' | 'harassment' | 'inappropriate' | 'other' | undefined;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
  /** Number of pending requests that the call refused. */
  readonly blockedCount: number;
};
    readonly errors: 'RequestNotFound';
  };
  /** Returns the blocks between the caller and the named people. */
  readonly checkBlocks: {
    readonly request: {
  /** DIDs of the caller and of the other people. */
  readonly dids: readonly string[];
};
    readonly response: {
  /** Blocks between the caller and the others. */
  readonly blocks: readonly CheckBlocksBlockRelationship[];
  /** Time at which the service read the records, rounded to a time bucket. */
  readonly checkedAt: string;
};
    readonly errors: 'TooManyDids' | 'BlueskyServiceUnavailable';
  };
  /** Claims the task of adding a new device to a conversation for one minute, and returns a key package of the device. */
  readonly claimPendingDeviceAddition: {
    readonly request: {
  /** Id from newDeviceEvent or getPendingDeviceAdditions. */
  readonly pendingAdditionId: string;
  /** If true, each key package is inside an MLSMessage (RFC 9420 section 6), the form that mls-rs and OpenMLS read. Otherwise it is a bare KeyPackage. */
  readonly asMlsMessage?: boolean | undefined;
};
    readonly response: {
  /** True if the caller now has the claim. False without convoId if no pending addition has this id. */
  readonly claimed: boolean;
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId?: string | undefined;
  /** The person's DID, followed by # and the device id. */
  readonly deviceCredentialDid?: string | undefined;
  /** The key package to add the device with. */
  readonly keyPackage?: KeyPackageRef | undefined;
  /** DID of the person who has the claim. Absent if the device has no key package left. */
  readonly claimedBy?: string | undefined;
};
    readonly errors: 'NotMember';
  };
  /** Stores a commit that changes no membership: new keys, proposals of other members, group context, more devices of members. It takes part in the same compare-and-set on the epoch as every other commit. */
  readonly commit: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
  /** MLS Commit, as PublicMessage or PrivateMessage. Its epoch must be the current one. */
  readonly commit: Uint8Array;
  /** MLS Welcome for more devices of people who are already members. */
  readonly welcome?: Uint8Array | undefined;
  /** MLS GroupInfo of the epoch that the commit begins. With it, others can join by external commit at once. */
  readonly groupInfo?: Uint8Array | undefined;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
  /** The epoch that the commit begins. */
  readonly newEpoch: number;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'KeyPackageNotFound' | 'EpochMismatch' | 'InvalidCommit' | 'InvalidWelcome' | 'InvalidGroupInfo' | 'PolicyViolation' | 'IdempotencyKeyReused';
  };
  /** Reports that a commit has added the device of a claimed addition. */
  readonly completePendingDeviceAddition: {
    readonly request: {
  /** Id of the claimed addition. */
  readonly pendingAdditionId: string;
  /** The epoch that the commit began. */
  readonly newEpoch: number;
};
    readonly response: {
  /** True if the addition is completed. */
  readonly success: boolean;
  /** If success is false: PendingAdditionNotFound or InvalidStatus. */
  readonly error?: string | undefined;
};
    readonly errors: 'NotClaimed';
  };
  /** Reports whether the device could use the Welcome. After a success the service does not return this Welcome to the device again. */
  readonly confirmWelcome: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** True if the device has joined the group. */
  readonly success: boolean;
  /** Ignored: the service stores no free text. */
  readonly errorDetails?: string | undefined;
  /** Id of the calling device. If it is absent, the service chooses the device that fits. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly confirmed: boolean;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'DeviceNotFound';
  };
  /** Creates a conversation for an MLS group that the caller has created. */
  readonly createConvo: {
    readonly request: {
  /** MLS group id in hex. It becomes the id of the conversation. */
  readonly groupId: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
  /** Cipher suite of the group. */
  readonly cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {});
  /** DIDs of the people that the Welcome adds, without the caller. */
  readonly initialMembers?: readonly string[] | undefined;
  /** MLS Welcome for all added people, bare or in an MLSMessage, in base64. */
  readonly welcomeMessage?: string | undefined;
  /** The key packages that the Welcome uses. */
  readonly keyPackageHashes?: readonly CreateConvoKeyPackageHashEntry[] | undefined;
  /** Name and description. The service stores them encrypted. */
  readonly metadata?: CreateConvoMetadataInput | undefined;
  /** Epoch of the group after the initial members were added. Default: 1 with a Welcome, otherwise 0. */
  readonly currentEpoch?: number | undefined;
  /** MLS GroupInfo of the epoch that this call begins, with ratchet_tree and external_pub, bare or in an MLSMessage, in base64. With it, others can join by external commit at once. */
  readonly groupInfo?: string | undefined;
};
    readonly response: ConvoView;
    readonly errors: 'InvalidCipherSuite' | 'KeyPackageNotFound' | 'TooManyMembers' | 'MutualBlockDetected' | 'ConvoAlreadyExists' | 'InvalidWelcome' | 'InvalidGroupInfo' | 'TooManyConversations' | 'InvalidGroupId' | 'IdempotencyKeyReused';
  };
  /** Creates an invite: a person who has its secret may join by external commit. For admins, and for all members if the policy allows it. */
  readonly createInvite: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** SHA-256 of the secret as 64 hex digits. The secret itself never reaches the service. */
  readonly pskHash: string;
  /** DID of the only person who may use the invite. */
  readonly targetDid?: string | undefined;
  /** Time at which the invite expires. Without it the invite never expires. */
  readonly expiresAt?: string | undefined;
  /** How often the invite may be used. Without it there is no limit. */
  readonly maxUses?: number | undefined;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
};
    readonly response: {
  /** Id of the invite. */
  readonly inviteId: string;
  /** The invite. */
  readonly invite: CreateInviteInviteView;
};
    readonly errors: 'Unauthorized' | 'InvalidPSKHash' | 'ConvoNotFound' | 'NotMember' | 'NotAdmin' | 'PolicyViolation' | 'IdempotencyKeyReused' | 'TooManyInvites';
  };
  /** Declines a chat request. The sender is not notified. */
  readonly declineChatRequest: {
    readonly request: {
  /** Id of the request. */
  readonly requestId: string;
  /** Reason for the refusal. The service counts it and does not store it with the request. */
  readonly reportReason?: 'spam' | 'harassment' | 'inappropriate' | 'other' | undefined;
  /** Ignored: the service stores no free text unencrypted. */
  readonly reportDetails?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
};
    readonly errors: 'RequestNotFound';
  };
  /** Deletes one of the caller's devices with its unused key packages and its pending Welcomes. */
  readonly deleteDevice: {
    readonly request: {
  /** UUID of the device. */
  readonly deviceId: string;
};
    readonly response: {
  /** Always true. */
  readonly deleted: boolean;
  /** Number of unused key packages that were deleted. */
  readonly keyPackagesDeleted: number;
};
    readonly errors: 'DeviceNotFound' | 'Unauthorized';
  };
  /** Makes an admin an ordinary member. Only admins may call this, and the last admin keeps the role. */
  readonly demoteAdmin: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person who loses the role. */
  readonly targetDid: string;
};
    readonly response: {
  /** Always true. */
  readonly ok: boolean;
};
    readonly errors: 'NotAdmin' | 'NotMember' | 'NotAdminTarget' | 'LastAdmin' | 'ConvoNotFound' | 'TargetNotMember';
  };
  /** Makes a moderator an ordinary member. Admins and the moderator may call this. */
  readonly demoteModerator: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person who loses the role. */
  readonly targetDid: string;
};
    readonly response: {
  /** Always true. */
  readonly ok: boolean;
};
    readonly errors: 'NotAdmin' | 'NotMember' | 'NotModerator' | 'ConvoNotFound' | 'TargetNotMember';
  };
  /** Counts the moderation events of one conversation. Only its admins may call this. */
  readonly getAdminStats: {
    readonly request: {
  /** Id of the conversation. There are no counts for the whole service. */
  readonly convoId?: string | undefined;
  /** Start of the period to count. */
  readonly since?: string | undefined;
};
    readonly response: {
  /** The counts. */
  readonly stats: GetAdminStatsModerationStats;
  /** Time of the count, rounded to a time bucket. */
  readonly generatedAt: string;
  /** Id of the conversation. There are no counts for the whole service. */
  readonly convoId?: string | undefined;
};
    readonly errors: 'NotAuthorized' | 'ConvoNotFound' | 'NotMember';
  };
  /** Returns the blocks between the caller and other members of a conversation. An admin also learns whether two members block each other. */
  readonly getBlockStatus: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
};
    readonly response: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** True if two members block each other. */
  readonly hasConflicts: boolean;
  /** Blocks between the caller and other members. */
  readonly blocks: readonly CheckBlocksBlockRelationship[];
  /** Time at which the service read the records, rounded to a time bucket. */
  readonly checkedAt: string;
  /** Number of members that were checked. */
  readonly memberCount?: number | undefined;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'NotAdmin' | 'BlueskyServiceUnavailable';
  };
  /** Returns the caller's settings for chat requests. */
  readonly getChatRequestSettings: {
    readonly request: Readonly<Record<never, never>>;
    readonly response: {
  /** If true, people who follow the caller need no request. */
  readonly allowFollowersBypass: boolean;
  /** If true, people whom the caller follows need no request. */
  readonly allowFollowingBypass: boolean;
  /** Number of days after which a request expires. */
  readonly autoExpireDays: number;
};
    readonly errors: never;
  };
  /** Returns the commits of a conversation from one epoch to another, both included, in order. */
  readonly getCommits: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** First epoch of the range. */
  readonly fromEpoch: number;
  /** Last epoch of the range. Default: the current epoch. */
  readonly toEpoch?: number | undefined;
};
    readonly response: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** The commits, in order of epoch. */
  readonly commits: readonly GetCommitsCommitMessage[];
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'InvalidEpochRange';
  };
  /** Lists the caller's conversations, page by page. */
  readonly getConvos: {
    readonly request: {
  /** Maximum number of entries on a page. */
  readonly limit?: number | undefined;
  /** Cursor of the next page, from the previous response. */
  readonly cursor?: string | undefined;
};
    readonly response: {
  /** Conversations of this page. */
  readonly conversations: readonly ConvoView[];
  /** Cursor of the next page. Absent on the last page. */
  readonly cursor?: string | undefined;
};
    readonly errors: 'InvalidCursor';
  };
  /** Returns the current epoch of a conversation. */
  readonly getEpoch: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
};
    readonly response: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** The current epoch. */
  readonly currentEpoch: number;
};
    readonly errors: 'ConvoNotFound' | 'NotMember';
  };
  /** Lists the conversations of the caller, and whether a device still has to join each of them. */
  readonly getExpectedConversations: {
    readonly request: {
  /** Id of the calling device. If it is absent, the service chooses the device that fits. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** The conversations. */
  readonly conversations: readonly GetExpectedConversationsExpectedConversation[];
};
    readonly errors: 'Unauthorized' | 'DeviceNotFound';
  };
  /** Returns the GroupInfo of the current epoch, with which to join by external commit. For members, for people who left and have called rejoin, and for people with an invite. */
  readonly getGroupInfo: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** SHA-256 of the secret of an invite, in hex. Only for people who are not members. */
  readonly pskHash?: string | undefined;
};
    readonly response: {
  /** MLSMessage with the GroupInfo, in base64. */
  readonly groupInfo: string;
  /** Epoch of the GroupInfo. */
  readonly epoch: number;
  /** Time after which to fetch the GroupInfo again. */
  readonly expiresAt?: string | undefined;
};
    readonly errors: 'NotFound' | 'Unauthorized' | 'GroupInfoUnavailable' | 'ConvoNotFound' | 'NotMember' | 'PolicyViolation';
  };
  /** Lists the caller's own key packages and what happened to them, newest first. */
  readonly getKeyPackageHistory: {
    readonly request: {
  /** Maximum number of entries on a page. */
  readonly limit?: number | undefined;
  /** Cursor of the next page, from the previous response. */
  readonly cursor?: string | undefined;
  /** If present, only key packages of this device. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** The entries. */
  readonly history: readonly GetKeyPackageHistoryKeyPackageHistoryEntry[];
  /** Cursor of the next page. Absent on the last page. */
  readonly cursor?: string | undefined;
};
    readonly errors: 'InvalidCursor' | 'DeviceNotFound';
  };
  /** Counts the caller's available key packages. A client uses the counts to decide when to publish more. */
  readonly getKeyPackageStats: {
    readonly request: {
  /** DID of the caller. May be absent. */
  readonly did?: string | undefined;
  /** If present, only key packages of this cipher suite. */
  readonly cipherSuite?: string | undefined;
  /** If present, only key packages of this device. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Number of available key packages. */
  readonly available: number;
  /** Publish more key packages if fewer than this are available. */
  readonly threshold: number;
  /** True if the client should publish more key packages now. */
  readonly needsReplenish: boolean;
  /** Number of key packages in any state. */
  readonly total: number;
  /** Number of key packages that were claimed or used. */
  readonly consumed: number;
  /** Number of these in the last 24 hours. */
  readonly consumedLast24h: number;
  /** Number of these in the last seven days. */
  readonly consumedLast7d: number;
  /** Mean number of claimed key packages per day over the last week, in hundredths. */
  readonly averageDailyConsumption: number;
  /** Days until no key package is left at this rate, in hundredths. */
  readonly predictedDepletionDays?: number | undefined;
  /** Time until the first key package expires, for example 3d 4h. */
  readonly oldestExpiresIn?: string | undefined;
  /** The same counts by cipher suite. */
  readonly byCipherSuite?: readonly GetKeyPackageStatsCipherSuiteStats[] | undefined;
};
    readonly errors: 'InvalidDid' | 'DeviceNotFound';
  };
  /** Counts the caller's own key packages by state, and lists the used ones. */
  readonly getKeyPackageStatus: {
    readonly request: {
  /** Maximum number of used key packages on a page. */
  readonly limit?: number | undefined;
  /** Cursor of the next page, from the previous response. */
  readonly cursor?: string | undefined;
  /** If present, only key packages of this device. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Number of key packages in any state. */
  readonly totalUploaded: number;
  /** Number of available key packages. */
  readonly available: number;
  /** Number of used key packages. */
  readonly consumed: number;
  /** Number of claimed key packages that no Welcome has used yet. */
  readonly reserved?: number | undefined;
  /** The used key packages, newest first. */
  readonly consumedPackages?: readonly GetKeyPackageStatusConsumedPackageView[] | undefined;
  /** Cursor of the next page. Absent on the last page. */
  readonly cursor?: string | undefined;
};
    readonly errors: 'InvalidCursor' | 'DeviceNotFound';
  };
  /** Claims one key package of each device of the named people. The service gives each key package to one caller only. */
  readonly getKeyPackages: {
    readonly request: {
  /** DIDs of the owners. */
  readonly dids: readonly string[];
  /** If present, only key packages of this cipher suite. */
  readonly cipherSuite?: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {}) | undefined;
  /** If true, each key package is inside an MLSMessage (RFC 9420 section 6), the form that mls-rs and OpenMLS read. Otherwise it is a bare KeyPackage. */
  readonly asMlsMessage?: boolean | undefined;
};
    readonly response: {
  /** The claimed key packages. */
  readonly keyPackages: readonly KeyPackageRef[];
  /** DIDs of people who have no key package. */
  readonly missing?: readonly string[] | undefined;
};
    readonly errors: 'TooManyDids' | 'InvalidDid' | 'InvalidCipherSuite';
  };
  /** Lists the messages and commits of a conversation in order. */
  readonly getMessages: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** Maximum number of entries on a page. */
  readonly limit?: number | undefined;
  /** If present, only messages with a greater seq. */
  readonly sinceSeq?: number | undefined;
};
    readonly response: {
  /** The messages, in ascending order of seq. */
  readonly messages: readonly MessageView[];
  /** seq of the last message on the page. It is the next sinceSeq. */
  readonly lastSeq?: number | undefined;
  /** Present if some sequence numbers are missing. */
  readonly gapInfo?: GetMessagesGapInfo | undefined;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'InvalidCursor';
  };
  /** Returns which of the named people use MLS chats. */
  readonly getOptInStatus: {
    readonly request: {
  /** DIDs of the people. */
  readonly dids: readonly string[];
};
    readonly response: {
  /** One entry for each person. */
  readonly statuses: readonly GetOptInStatusOptInStatus[];
};
    readonly errors: never;
  };
  /** Lists new devices of other people that wait to be added to conversations of the caller. */
  readonly getPendingDeviceAdditions: {
    readonly request: {
  /** If present, only these conversations. The service ignores ids of conversations without the caller. */
  readonly convoIds?: readonly string[] | undefined;
  /** Maximum number of entries. */
  readonly limit?: number | undefined;
};
    readonly response: {
  /** The devices, oldest first. */
  readonly pendingAdditions: readonly GetPendingDeviceAdditionsPendingDeviceAddition[];
};
    readonly errors: 'Unauthorized';
  };
  /** Returns the policy of a conversation. Only members may call this. */
  readonly getPolicy: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
};
    readonly response: {
  /** The policy. */
  readonly policy: UpdatePolicyPolicyView;
};
    readonly errors: 'ConvoNotFound' | 'NotMember';
  };
  /** Lists the reports of a conversation, newest first, page by page. Only admins and moderators may call this, and nobody sees reports about themselves. */
  readonly getReports: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** If present, only reports in this state. */
  readonly status?: 'pending' | 'resolved' | 'dismissed' | (string & {}) | undefined;
  /** Maximum number of entries on a page. */
  readonly limit?: number | undefined;
  /** Cursor of the next page, from the previous response. It is valid for the same conversation and status only. */
  readonly cursor?: string | undefined;
};
    readonly response: {
  /** The reports. */
  readonly reports: readonly GetReportsReportView[];
  /** Cursor of the next page. Absent on the last page. */
  readonly cursor?: string | undefined;
};
    readonly errors: 'NotAdmin' | 'ConvoNotFound' | 'NotMember' | 'InvalidCursor';
  };
  /** Counts the pending chat requests to the caller. */
  readonly getRequestCount: {
    readonly request: Readonly<Record<never, never>>;
    readonly response: {
  /** Number of pending requests. */
  readonly pendingCount: number;
  /** Time of the newest request, rounded to a time bucket. */
  readonly lastRequestAt?: string | undefined;
};
    readonly errors: 'Unauthorized';
  };
  /** Returns a ticket that opens one subscription within 30 seconds. */
  readonly getSubscriptionTicket: {
    readonly request: {
  /** If present, only this conversation. Otherwise all conversations of the caller. */
  readonly convoId?: string | undefined;
};
    readonly response: {
  /** Opaque text. It can be used once. */
  readonly ticket: string;
  /** URL to connect to. */
  readonly endpoint: string;
  /** Time at which the ticket expires. */
  readonly expiresAt: string;
};
    readonly errors: 'NotMember' | 'ConvoNotFound';
  };
  /** Returns the pending Welcome of one of the caller's devices for a conversation. */
  readonly getWelcome: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** Id of the calling device. If it is absent, the service chooses the device that fits. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** MLSMessage with the Welcome, in base64. */
  readonly welcome: string;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'WelcomeNotFound' | 'DeviceNotFound';
  };
  /** Requests a current GroupInfo from the members, so that the caller can join by external commit. */
  readonly groupInfoRefresh: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
};
    readonly response: {
  /** True if the service has notified members. */
  readonly requested: boolean;
  /** Number of notified members. */
  readonly activeMembers?: number | undefined;
};
    readonly errors: 'Unauthorized' | 'ConversationNotFound' | 'ConvoNotFound' | 'NotMember';
  };
  /** Notifies the service that the caller has blocked or unblocked a person. The service checks the caller's block records itself. */
  readonly handleBlockChange: {
    readonly request: {
  /** DID of the caller. */
  readonly blockerDid: string;
  /** DID of the person who is or was blocked. */
  readonly blockedDid: string;
  /** Whether the block was created or deleted. */
  readonly action: 'created' | 'removed' | (string & {});
  /** AT URI of the block record. */
  readonly blockUri?: string | undefined;
};
    readonly response: {
  /** Conversations with both people. */
  readonly affectedConvos: readonly HandleBlockChangeAffectedConvo[];
};
    readonly errors: 'BlockNotVerified' | 'BlueskyServiceUnavailable';
  };
  /** Deletes a pending Welcome of the caller that cannot be used. */
  readonly invalidateWelcome: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** Ignored: the service stores no free text. */
  readonly reason: string;
  /** Id of the calling device. If it is absent, the service chooses the device that fits. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** True if there was a pending Welcome. */
  readonly invalidated: boolean;
  /** Never sent. */
  readonly welcomeId?: string | undefined;
};
    readonly errors: 'NotFound' | 'Unauthorized' | 'ConvoNotFound' | 'NotMember' | 'DeviceNotFound';
  };
  /** Removes the caller from a conversation. An admin may also remove another member. */
  readonly leaveConvo: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person to remove. Default: the caller. */
  readonly targetDid?: string | undefined;
  /** MLS Commit that removes the person, in base64. Its epoch must be the current one. */
  readonly commit?: string | undefined;
  /** MLS GroupInfo of the epoch that the commit begins, in base64. With it, others can join by external commit at once. */
  readonly groupInfo?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
  /** The current epoch. */
  readonly newEpoch: number;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'LastMember' | 'NotAdmin' | 'EpochMismatch' | 'InvalidCommit' | 'LastAdmin' | 'TargetNotMember' | 'PolicyViolation' | 'InvalidGroupInfo';
  };
  /** Lists the chat requests that the caller has received, newest first. */
  readonly listChatRequests: {
    readonly request: {
  /** Cursor of the next page, from the previous response. */
  readonly cursor?: string | undefined;
  /** Maximum number of requests on a page. */
  readonly limit?: number | undefined;
  /** If present, only requests in this state. */
  readonly status?: 'pending' | 'accepted' | 'declined' | 'blocked' | 'expired' | undefined;
};
    readonly response: {
  /** The requests. */
  readonly requests: readonly ListChatRequestsChatRequest[];
  /** Cursor of the next page. Absent on the last page. */
  readonly cursor?: string | undefined;
};
    readonly errors: 'InvalidCursor';
  };
  /** Lists the caller's devices, the most recently seen first. */
  readonly listDevices: {
    readonly request: {

};
    readonly response: {
  /** One entry for each device. */
  readonly devices: readonly ListDevicesDeviceInfo[];
};
    readonly errors: never;
  };
  /** Lists the invites of a conversation. Admins see all; members who may create invites see their own. */
  readonly listInvites: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** If true, revoked invites are included. */
  readonly includeRevoked?: boolean | undefined;
};
    readonly response: {
  /** The invites, newest first. */
  readonly invites: readonly CreateInviteInviteView[];
};
    readonly errors: 'Unauthorized' | 'ConvoNotFound' | 'NotMember' | 'NotAdmin';
  };
  /** Records that the caller uses MLS chats. */
  readonly optIn: {
    readonly request: {
  /** Id of the calling device. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly optedIn: boolean;
  /** Time of the opt-in, rounded to a time bucket. */
  readonly optedInAt: string;
};
    readonly errors: 'DeviceNotFound';
  };
  /** Records that the caller does not use MLS chats any more. */
  readonly optOut: {
    readonly request: Readonly<Record<never, never>>;
    readonly response: {
  /** Always true. */
  readonly success: boolean;
};
    readonly errors: never;
  };
  /** Adds the caller to a group by an external commit: a new device of a member, a member who has lost the group state, or a person with an invite. */
  readonly processExternalCommit: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** MLS external Commit in base64. Its epoch must be the current one. */
  readonly externalCommit: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
  /** MLS GroupInfo of the epoch that the commit begins, with ratchet_tree and external_pub, bare or in an MLSMessage, in base64. */
  readonly groupInfo?: string | undefined;
  /** SHA-256 of the secret of an invite, in hex. Only for people who are not members. A commit may instead name these 32 bytes as the id of an external PSK. */
  readonly pskHash?: string | undefined;
};
    readonly response: {
  /** The current epoch. */
  readonly epoch: number;
  /** Time of joining, rounded to a time bucket. */
  readonly rejoinedAt: string;
};
    readonly errors: 'Unauthorized' | 'InvalidCommit' | 'InvalidGroupInfo' | 'ConvoNotFound' | 'NotMember' | 'EpochMismatch' | 'PolicyViolation' | 'TooManyMembers' | 'TooManyConversations' | 'IdempotencyKeyReused';
  };
  /** Makes a member an admin. Only admins may call this. */
  readonly promoteAdmin: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person who gets the role. */
  readonly targetDid: string;
};
    readonly response: {
  /** Always true. */
  readonly ok: boolean;
  /** Time of the promotion, rounded to a time bucket. */
  readonly promotedAt: string;
};
    readonly errors: 'NotAdmin' | 'NotMember' | 'AlreadyAdmin' | 'ConvoNotFound' | 'TargetNotMember';
  };
  /** Makes a member a moderator. Only admins may call this. */
  readonly promoteModerator: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person who gets the role. */
  readonly targetDid: string;
};
    readonly response: {
  /** Always true. */
  readonly ok: boolean;
  /** Time of the promotion, rounded to a time bucket. */
  readonly promotedAt: string;
};
    readonly errors: 'NotAdmin' | 'NotMember' | 'AlreadyModerator' | 'IsAdmin' | 'ConvoNotFound' | 'TargetNotMember';
  };
  /** Stores one key package of the caller for others to claim. */
  readonly publishKeyPackage: {
    readonly request: {
  /** MLS KeyPackage, bare or in an MLSMessage, in base64. */
  readonly keyPackage: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
  /** Cipher suite of the key package. It must be the one inside the package. */
  readonly cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519' | 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256' | 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519' | 'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448' | 'MLS_256_DHKEMP521_AES256GCM_SHA512_P521' | 'MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448' | 'MLS_256_DHKEMP384_AES256GCM_SHA384_P384' | 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' | (string & {});
  /** Time after which others should not use the key package. The service shortens times beyond its limit. */
  readonly expires?: string | undefined;
  /** Id of the device that has the private keys. Default: the device with the signature key of the package. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Present if the caller has no registered device. The key package was stored all the same. */
  readonly warning?: string | undefined;
};
    readonly errors: 'InvalidKeyPackage' | 'InvalidCipherSuite' | 'ExpirationTooFar' | 'TooManyKeyPackages' | 'DeviceNotFound' | 'IdempotencyKeyReused';
  };
  /** Stores up to 100 key packages of the caller. The service checks each of them separately. */
  readonly publishKeyPackages: {
    readonly request: {
  /** 1 to 100 key packages. The service refuses other numbers with InvalidBatch or BatchTooLarge. */
  readonly keyPackages: readonly PublishKeyPackagesKeyPackageItem[];
};
    readonly response: {
  /** Number of key packages that are stored, by this call or by an earlier one. */
  readonly succeeded: number;
  /** Number of refused key packages. */
  readonly failed: number;
  /** Reason for each refused key package. */
  readonly errors?: readonly PublishKeyPackagesBatchError[] | undefined;
  /** Present if the caller has no registered device. The key packages were stored all the same. */
  readonly warning?: string | undefined;
};
    readonly errors: 'BatchTooLarge' | 'InvalidBatch' | 'DeviceNotFound';
  };
  /** Requests that the other members remove and add the caller, who has lost the group state or has left. */
  readonly readdition: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
};
    readonly response: {
  /** True if the service has notified members. */
  readonly requested: boolean;
  /** Number of notified members. */
  readonly activeMembers?: number | undefined;
};
    readonly errors: 'NotFound' | 'Unauthorized' | 'NoActiveMembers' | 'ConvoNotFound' | 'NotMember';
  };
  /** Registers one of the caller's devices with its first key packages. Registering the same device again replaces its key packages. */
  readonly registerDevice: {
    readonly request: {
  /** Name of the device. The service stores it encrypted. */
  readonly deviceName: string;
  /** Id that the device keeps across reinstallations. With it the service identifies a repeated registration. */
  readonly deviceUUID?: string | undefined;
  /** Alternative spelling of deviceUUID. */
  readonly deviceUuid?: string | undefined;
  /** Key packages for others to claim. */
  readonly keyPackages: readonly RegisterDeviceKeyPackageItem[];
  /** MLS signature key of the device, of any cipher suite. */
  readonly signaturePublicKey: Uint8Array;
};
    readonly response: {
  /** UUID of the device. The service chooses it. */
  readonly deviceId: string;
  /** The caller's DID, followed by # and the device id. MLS credentials contain the DID alone. */
  readonly mlsDid: string;
  /** Always empty: a member must add the device to each conversation. */
  readonly autoJoinedConvos: readonly string[];
  /** Never sent: members add the device. */
  readonly welcomeMessages?: readonly RegisterDeviceWelcomeMessage[] | undefined;
};
    readonly errors: 'InvalidDeviceName' | 'InvalidKeyPackages' | 'InvalidSignatureKey' | 'DeviceAlreadyRegistered' | 'TooManyDevices';
  };
  /** Stores the push token of a device, encrypted. */
  readonly registerDeviceToken: {
    readonly request: {
  /** UUID of the device. */
  readonly deviceId: string;
  /** Push token from the platform. */
  readonly pushToken: string;
  /** A new name for the device. */
  readonly deviceName?: string | undefined;
  /** Push service that issued the token. */
  readonly platform?: 'ios' | 'android' | 'web' | (string & {}) | undefined;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
};
    readonly errors: 'DeviceNotFound';
  };
  /** Requests to be added again with a new key package. */
  readonly rejoin: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** MLS KeyPackage with which to add the device, bare or in an MLSMessage, in base64 of either alphabet. */
  readonly keyPackage: string;
  /** Ignored: the service stores no free text. */
  readonly reason?: string | undefined;
  /** Id of the calling device. If it is absent, the service chooses the device that fits. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** Id of the request. */
  readonly requestId: string;
  /** True if a member still has to act. */
  readonly pending: boolean;
  /** Never sent: only members can approve. */
  readonly approvedAt?: string | undefined;
  /** Present if the caller has no registered device. The request was made all the same. */
  readonly warning?: string | undefined;
};
    readonly errors: 'ConvoNotFound' | 'AlreadyMember' | 'InvalidKeyPackage' | 'RateLimitExceeded' | 'NotMember' | 'DeviceNotFound' | 'TooManyKeyPackages';
  };
  /** Removes another member from a conversation. For admins, and for all members if the policy allows it. */
  readonly removeMember: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person to remove. */
  readonly targetDid: string;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey: string;
  /** Ignored: the service stores no reason unencrypted. */
  readonly reason?: string | undefined;
  /** MLS Commit that removes the person, in base64. Its epoch must be the current one. */
  readonly commit?: string | undefined;
  /** MLS GroupInfo of the epoch that the commit begins, in base64. With it, others can join by external commit at once. */
  readonly groupInfo?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly ok: boolean;
  /** The current epoch. */
  readonly epochHint?: number | undefined;
};
    readonly errors: 'NotAdmin' | 'NotMember' | 'CannotRemoveSelf' | 'ConvoNotFound' | 'EpochMismatch' | 'InvalidCommit' | 'TargetNotMember' | 'IdempotencyKeyReused' | 'PolicyViolation' | 'InvalidGroupInfo';
  };
  /** Reports a member to the admins. Only the admins can read the text. */
  readonly reportMember: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the reported person. */
  readonly reportedDid: string;
  /** Category of the report. */
  readonly category: 'harassment' | 'spam' | 'hate_speech' | 'violence' | 'sexual_content' | 'impersonation' | 'privacy_violation' | 'other' | (string & {});
  /** Text of the report, encrypted for the admins. */
  readonly encryptedContent: Uint8Array;
  /** Ids of the messages that the report is about. */
  readonly messageIds?: readonly string[] | undefined;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
};
    readonly response: {
  /** Id of the report. */
  readonly reportId: string;
  /** Time of the report, rounded to a time bucket. */
  readonly submittedAt: string;
};
    readonly errors: 'NotMember' | 'TargetNotMember' | 'CannotReportSelf' | 'ConvoNotFound' | 'IdempotencyKeyReused' | 'TooManyReports';
  };
  /** Records the decision about a report. Only admins may call this, and never about themselves. */
  readonly resolveReport: {
    readonly request: {
  /** Id of the report. */
  readonly reportId: string;
  /** The decision. */
  readonly action: 'removed_member' | 'dismissed' | 'no_action' | (string & {});
  /** Remarks for the other admins. The service stores them encrypted. */
  readonly notes?: string | undefined;
};
    readonly response: {
  /** Always true. */
  readonly ok: boolean;
};
    readonly errors: 'NotAdmin' | 'ReportNotFound' | 'AlreadyResolved';
  };
  /** Revokes an invite. For admins and the person who created the invite. */
  readonly revokeInvite: {
    readonly request: {
  /** The invite. */
  readonly inviteId: string;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
};
    readonly errors: 'Unauthorized' | 'InviteNotFound' | 'AlreadyRevoked' | 'NotAdmin';
  };
  /** Sends a chat request to a person. No request is needed between people who share a conversation. */
  readonly sendChatRequest: {
    readonly request: {
  /** DID of the recipient. */
  readonly recipientDid: string;
  /** Preview for the recipient. The service stores it encrypted. */
  readonly previewText?: string | undefined;
  /** Messages that the service stores until the recipient accepts. */
  readonly heldMessages?: readonly SendChatRequestHeldMessage[] | undefined;
  /** True if the request is an invitation to a group. */
  readonly isGroupInvite?: boolean | undefined;
  /** Id of the group. */
  readonly groupId?: string | undefined;
};
    readonly response: {
  /** Id of the request. */
  readonly requestId: string;
  /** State of the request. */
  readonly status: 'pending' | 'bypassed';
  /** Time of the request, rounded to a time bucket. */
  readonly createdAt: string;
  /** Time until which the request counts for the sender. It is the same for all recipients. */
  readonly expiresAt: string;
  /** Id of the conversation, if no request was needed. */
  readonly convoId?: string | undefined;
};
    readonly errors: 'BlockedByRecipient' | 'RateLimited' | 'RecipientNotFound' | 'DuplicateRequest' | 'SelfRequest' | 'InvalidAsset' | 'ConvoNotFound' | 'NotMember';
  };
  /** Stores an encrypted message and delivers it to every member. Sending the same msgId again returns the first response. */
  readonly sendMessage: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** The client's id of the message: a ULID or a UUID. */
  readonly msgId: string;
  /** Ignored: msgId has the same effect. */
  readonly idempotencyKey?: string | undefined;
  /** MLS PrivateMessage, or a proposal as MLS PublicMessage, padded to paddedSize. */
  readonly ciphertext: Uint8Array;
  /** Epoch in which the message was encrypted. It must be the current one. */
  readonly epoch: number;
  /** Size of ciphertext in bytes: 512, 1024, 2048, 4096, 8192 or a multiple of 8192. */
  readonly paddedSize: number;
  /** The service sends an ephemeral message to connected members and does not store it. */
  readonly delivery?: 'persistent' | 'ephemeral' | (string & {}) | undefined;
};
    readonly response: {
  /** The msgId of the call. */
  readonly messageId: string;
  /** Time of receipt, rounded to a time bucket. */
  readonly receivedAt: string;
  /** Sequence number of the message in the conversation, counted from 1. An ephemeral message has 0. */
  readonly seq: number;
  /** Epoch in which the service accepted the message. */
  readonly epoch: number;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'InvalidAsset' | 'EpochMismatch' | 'MessageTooLarge' | 'PolicyViolation';
  };
  /** Deletes the key packages of a device whose private keys the device does not have any more. */
  readonly syncKeyPackages: {
    readonly request: {
  /** KeyPackageRefs in hex for which the device has the private keys. */
  readonly localHashes: readonly string[];
  /** UUID of the device. */
  readonly deviceId: string;
};
    readonly response: {
  /** KeyPackageRefs that the service now stores for the device. */
  readonly serverHashes: readonly string[];
  /** Number of key packages without private keys. */
  readonly orphanedCount: number;
  /** Number of these that were deleted. */
  readonly deletedCount: number;
  /** KeyPackageRefs of the key packages without private keys. */
  readonly orphanedHashes?: readonly string[] | undefined;
  /** Number of available key packages. */
  readonly remainingAvailable?: number | undefined;
  /** UUID of the device. */
  readonly deviceId: string;
};
    readonly errors: 'DeviceNotFound';
  };
  /** Deletes the push token of a device. */
  readonly unregisterDeviceToken: {
    readonly request: {
  /** UUID of the device. */
  readonly deviceId: string;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
};
    readonly errors: 'DeviceNotFound';
  };
  /** Changes the caller's settings for chat requests. Absent fields keep their values. */
  readonly updateChatRequestSettings: {
    readonly request: {
  /** If true, people who follow the caller need no request. */
  readonly allowFollowersBypass?: boolean | undefined;
  /** If true, people whom the caller follows need no request. */
  readonly allowFollowingBypass?: boolean | undefined;
  /** Number of days after which a request expires. */
  readonly autoExpireDays?: number | undefined;
};
    readonly response: {
  /** If true, people who follow the caller need no request. */
  readonly allowFollowersBypass: boolean;
  /** If true, people whom the caller follows need no request. */
  readonly allowFollowingBypass: boolean;
  /** Number of days after which a request expires. */
  readonly autoExpireDays: number;
};
    readonly errors: never;
  };
  /** Reports how far the caller has read the events of a conversation. */
  readonly updateCursor: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** Cursor of an event. */
  readonly cursor: string;
};
    readonly response: {
  /** Always true. */
  readonly success: boolean;
};
    readonly errors: 'ConvoNotFound' | 'NotMember' | 'InvalidCursor';
  };
  /** Stores the GroupInfo of the current epoch. */
  readonly updateGroupInfo: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** MLS GroupInfo with ratchet_tree and external_pub, bare or in an MLSMessage, in base64. */
  readonly groupInfo: string;
  /** Epoch of the GroupInfo. */
  readonly epoch: number;
};
    readonly response: {
  /** False if the service already had a GroupInfo of this epoch. */
  readonly updated: boolean;
};
    readonly errors: 'Unauthorized' | 'InvalidGroupInfo' | 'ConvoNotFound' | 'NotMember' | 'EpochMismatch';
  };
  /** Changes the policy of a conversation. Absent fields keep their values. Only admins may call this. */
  readonly updatePolicy: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** If true, invites may be created and used. */
  readonly allowInvites?: boolean | undefined;
  /** If true, only admins may create invites. */
  readonly adminOnlyInvites?: boolean | undefined;
  /** If true, all members may add people. Otherwise only admins may. */
  readonly allowMemberAdd?: boolean | undefined;
  /** If true, all members may remove people. Otherwise only admins may. */
  readonly allowMemberRemove?: boolean | undefined;
  /** If true, people can join only if an admin adds them. */
  readonly requireAdminApproval?: boolean | undefined;
  /** Maximum number of members. */
  readonly maxMembers?: number | undefined;
  /** Form of the members' commits and proposals: PublicMessage, which the service checks, PrivateMessage, which the service cannot read, or either. */
  readonly handshakes?: 'any' | 'plaintext' | 'encrypted' | undefined;
};
    readonly response: {
  /** The new policy. */
  readonly policy: UpdatePolicyPolicyView;
};
    readonly errors: 'Unauthorized' | 'ConvoNotFound' | 'NotMember' | 'NoFieldsProvided' | 'InvalidMaxMembers' | 'NotAdmin';
  };
  /** Reports the state of a device as the service sees it, so that a client can detect problems. */
  readonly validateDeviceState: {
    readonly request: {
  /** Id of the calling device. If it is absent, the service chooses the device that fits. */
  readonly deviceId?: string | undefined;
};
    readonly response: {
  /** True if there is no problem. */
  readonly isValid: boolean;
  /** The problems, one short word each. */
  readonly issues: readonly string[];
  /** Methods to call, in this order. */
  readonly recommendations: readonly string[];
  /** Conversations the caller is in. */
  readonly expectedConvos?: number | undefined;
  /** Conversations that the device has joined, as far as the service can see. */
  readonly actualConvos?: number | undefined;
  /** Counts of the device's key packages. */
  readonly keyPackageInventory?: ValidateDeviceStateKeyPackageInventory | undefined;
  /** Conversations that the device waits to be added to. */
  readonly pendingRejoinRequests?: readonly string[] | undefined;
};
    readonly errors: 'DeviceNotFound';
  };
  /** Reports whether the caller could use a Welcome, before the client opens it. */
  readonly validateWelcome: {
    readonly request: {
  /** The MLS Welcome. */
  readonly welcomeMessage: Uint8Array;
};
    readonly response: {
  /** True if the caller could use it. */
  readonly valid: boolean;
  /** KeyPackageRef of the caller's key package in the Welcome, in hex. */
  readonly keyPackageHash: string;
  /** DID of the caller. */
  readonly recipientDid?: string | undefined;
  /** Never sent: a Welcome does not show its group. */
  readonly groupId?: string | undefined;
  /** True if the key package was claimed for it. */
  readonly reserved?: boolean | undefined;
  /** Time until which the claim is valid. */
  readonly reservedUntil?: string | undefined;
};
    readonly errors: 'InvalidWelcome' | 'KeyPackageNotFound' | 'KeyPackageAlreadyConsumed' | 'KeyPackageReserved' | 'RecipientMismatch';
  };
  /** Sends a warning to one member through their own event streams. Only admins and moderators may call this. No other member learns of it. */
  readonly warnMember: {
    readonly request: {
  /** Id of the conversation: its MLS group id in lower-case hex. */
  readonly convoId: string;
  /** DID of the person to warn. */
  readonly memberDid: string;
  /** Reason for the warning. The service stores it encrypted until the warning expires. */
  readonly reason: string;
  /** Time at which the warning expires. The latest possible time is the end of the events' retention. */
  readonly expiresAt?: string | undefined;
  /** A repeated call with the same key returns the response to the first call. */
  readonly idempotencyKey?: string | undefined;
};
    readonly response: {
  /** Id of the warning. */
  readonly warningId: string;
  /** Time of the warning, rounded to a time bucket. */
  readonly deliveredAt: string;
};
    readonly errors: 'ConvoNotFound' | 'NotAdmin' | 'TargetNotMember' | 'CannotWarnAdmin' | 'NotMember' | 'IdempotencyKeyReused';
  };
}

export type MethodName = keyof Methods;

/** How a method is sent, and which field makes a repetition harmless. */
export interface MethodFacts {
  readonly kind: 'query' | 'procedure';
  readonly repeatedBy?: 'idempotencyKey' | 'msgId';
}

export const methods: Readonly<Record<MethodName, MethodFacts>> = {
  acceptChatRequest: { kind: 'procedure' },
  addMembers: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  blockChatSender: { kind: 'procedure' },
  checkBlocks: { kind: 'query' },
  claimPendingDeviceAddition: { kind: 'procedure' },
  commit: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  completePendingDeviceAddition: { kind: 'procedure' },
  confirmWelcome: { kind: 'procedure' },
  createConvo: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  createInvite: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  declineChatRequest: { kind: 'procedure' },
  deleteDevice: { kind: 'procedure' },
  demoteAdmin: { kind: 'procedure' },
  demoteModerator: { kind: 'procedure' },
  getAdminStats: { kind: 'query' },
  getBlockStatus: { kind: 'query' },
  getChatRequestSettings: { kind: 'query' },
  getCommits: { kind: 'query' },
  getConvos: { kind: 'query' },
  getEpoch: { kind: 'query' },
  getExpectedConversations: { kind: 'query' },
  getGroupInfo: { kind: 'query' },
  getKeyPackageHistory: { kind: 'query' },
  getKeyPackageStats: { kind: 'query' },
  getKeyPackageStatus: { kind: 'query' },
  getKeyPackages: { kind: 'query' },
  getMessages: { kind: 'query' },
  getOptInStatus: { kind: 'query' },
  getPendingDeviceAdditions: { kind: 'query' },
  getPolicy: { kind: 'query' },
  getReports: { kind: 'query' },
  getRequestCount: { kind: 'query' },
  getSubscriptionTicket: { kind: 'procedure' },
  getWelcome: { kind: 'query' },
  groupInfoRefresh: { kind: 'procedure' },
  handleBlockChange: { kind: 'procedure' },
  invalidateWelcome: { kind: 'procedure' },
  leaveConvo: { kind: 'procedure' },
  listChatRequests: { kind: 'query' },
  listDevices: { kind: 'query' },
  listInvites: { kind: 'query' },
  optIn: { kind: 'procedure' },
  optOut: { kind: 'procedure' },
  processExternalCommit: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  promoteAdmin: { kind: 'procedure' },
  promoteModerator: { kind: 'procedure' },
  publishKeyPackage: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  publishKeyPackages: { kind: 'procedure' },
  readdition: { kind: 'procedure' },
  registerDevice: { kind: 'procedure' },
  registerDeviceToken: { kind: 'procedure' },
  rejoin: { kind: 'procedure' },
  removeMember: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  reportMember: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
  resolveReport: { kind: 'procedure' },
  revokeInvite: { kind: 'procedure' },
  sendChatRequest: { kind: 'procedure' },
  sendMessage: { kind: 'procedure', repeatedBy: 'msgId' },
  syncKeyPackages: { kind: 'procedure' },
  unregisterDeviceToken: { kind: 'procedure' },
  updateChatRequestSettings: { kind: 'procedure' },
  updateCursor: { kind: 'procedure' },
  updateGroupInfo: { kind: 'procedure' },
  updatePolicy: { kind: 'procedure' },
  validateDeviceState: { kind: 'query' },
  validateWelcome: { kind: 'procedure' },
  warnMember: { kind: 'procedure', repeatedBy: 'idempotencyKey' },
};

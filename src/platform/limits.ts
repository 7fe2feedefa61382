/** Every size and count limit of the service. Sizes are in bytes. */
export const limits = {
  /** The largest message or commit (lexicon `ciphertext`). */
  messageSizeBytesMax: 10_485_760,
  /** The largest message in base64 and JSON. */
  requestBodySizeBytesMax: 14_680_064,
  /** The body limit of methods without MLS data. */
  smallBodySizeBytesMax: 65_536,
  /** One key package of the largest size in base64, with its fields. */
  keyPackageBodySizeBytesMax: 131_072,
  /** A device's first 200 key packages, or a batch of 100 large ones. */
  keyPackagesBodySizeBytesMax: 8_388_608,
  /** ML-DSA-87 key packages have 14 kB; the lexicon limits the base64 text to 65,536 characters. */
  keyPackageSizeBytesMax: 49_152,
  /**
   * A tree of 1,000 leaves with ML-KEM-1024 and ML-DSA-87 keys has 10.6 MB; in base64 and JSON it fits into the request
   * body.
   */
  groupInfoSizeBytesMax: 11_000_000,
  groupInfoSizeBytesMin: 100,
  /** A full conversation with the maximum number of devices per member, rounded up to a power of two. */
  leavesPerGroupMax: 32_768,
  /** Six for each member of a full conversation; bounds the time for which a plaintext commit blocks the event loop. */
  proposalsPerCommitMax: 6_000,
  /** Plaintext proposals that may be pending in one epoch; a commit that references them reads all of them. */
  clearProposalsPerEpochMax: 1_000,
  /** The limit of the same proposals in bytes. */
  clearProposalsSizeBytesMax: 16_777_216,
  welcomeSizeBytesMax: 10_485_760,
  /** Leaves that one Welcome may add: every device of a full conversation would be 20 times its members. */
  joinersPerWelcomeMax: 20_000,
  /** Hex characters of a group id: the `maxLength` of the lexicon. */
  groupIdHexLengthMax: 128,
  keyPackagesPerBatchMax: 100,
  keyPackagesPerRegistrationMax: 200,
  /** A longer key package lifetime is stored as this value; the default of ts-mls has no end. */
  keyPackageLifetimeMsMax: 3_650 * 86_400_000,
  devicesPerAccountMax: 20,
  /** A claimed addition can be claimed again after this time (lexicon claimPendingDeviceAddition). */
  deviceClaimMs: 60_000,
  /** Memberships read by one getPendingDeviceAdditions when too many devices wait to read all. */
  membersPerAdditionsPageMax: 10_000,
  /** Waiting devices read at once; a subscriber with more must call getPendingDeviceAdditions. */
  devicesPerCatchUpMax: 500,
  /** The longest device name, as in the lexicon of registerDevice. */
  deviceNameSizeBytesMax: 128,
  /** Ed25519 keys are the shortest of the supported cipher suites. */
  signatureKeySizeBytesMin: 32,
  devicesPerClaimMax: 50,
  /** Chat requests that one account may send on one day (UTC). */
  chatRequestsPerDayMax: 50,
  conversationsPerAccountMax: 4_000,
  membersPerConversationMax: 1_000,
  /** Ended invites do not count. */
  invitesPerConversationMax: 200,
  /** Stored reports, decided ones included. */
  reportsPerConversationMax: 1_000,
  /** Pending reports of one reporter in one conversation. */
  openReportsPerReporterMax: 20,
  /** A report's 51,200 bytes in base64, with 20 message ids. */
  reportBodySizeBytesMax: 98_304,
  messagesPerPageMax: 100,
  commitsPerPageMax: 100,
  missingSeqsListedMax: 1_000,
  jsonDepthMax: 32,
  jsonKeyLengthMax: 256,
  /** Values in one JSON body; the largest valid one, a conversation of 1,000 people, has about 5,000. */
  jsonValuesMax: 20_000,
  urlLengthMax: 16_384,
  headersMax: 64,
  /** Names, values and separators, without the URL. */
  headersSizeBytesMax: 8_192,
  headerNameLengthMax: 256,
  headerValueLengthMax: 4_096,
  /** The maximum payload of one WebSocket frame from a client. */
  clientFrameSizeBytesMax: 4_096,
  /** The maximum length of the header in which a proxy names the client. */
  proxyHeaderLengthMax: 2_048,
  tokenLengthMax: 4_096,
  tokenLifetimeSecondsMax: 300,
  clockLeewaySeconds: 30,
  didLengthMax: 2_048,
  /** Live subscriptions of one account on one server. */
  subscriptionsPerAccountMax: 10,
  /** Frames that may wait for one subscriber before it is closed or must read from the log. */
  bufferedFramesMax: 500,
  bufferedSizeBytesMax: 1_048_576,
  subscriberBacklogSizeBytesMax: 1_048_576,
} as const;

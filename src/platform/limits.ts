/** Every size and count limit of the service. Sizes are in bytes. */
export const limits = {
  /** The largest message or commit (lexicon `ciphertext`). */
  messageSizeBytesMax: 10_485_760,
  /** Enough for the largest message as base64 in JSON. */
  requestBodySizeBytesMax: 14_680_064,
  /** The body limit of methods without MLS data. */
  smallBodySizeBytesMax: 65_536,
  /** Enough for one key package of the largest size as base64 in JSON. */
  keyPackageBodySizeBytesMax: 131_072,
  /** Enough for the 200 key packages of a registration, or for a batch of 100 large key packages. */
  keyPackagesBodySizeBytesMax: 8_388_608,
  /**
   * The decoded size of the 65,536 base64 characters that the lexicon allows. A key package with ML-DSA-87 keys has 14
   * kB.
   */
  keyPackageSizeBytesMax: 49_152,
  /**
   * Enough for the 10.6 MB of a tree with 1,000 leaves that have ML-KEM-1024 and ML-DSA-87 keys. The largest GroupInfo
   * fits into a request body as base64 in JSON.
   */
  groupInfoSizeBytesMax: 11_000_000,
  groupInfoSizeBytesMin: 100,
  /** The 20,000 leaves of a full conversation (1,000 members with 20 devices each), rounded up to a power of two. */
  leavesPerGroupMax: 32_768,
  /**
   * Six proposals for each member of a full conversation. The limit bounds the time for which a plaintext commit blocks
   * the event loop.
   */
  proposalsPerCommitMax: 6_000,
  /**
   * Plaintext proposals that may be pending in one epoch. A limit is needed because a commit that references proposals
   * reads all of them.
   */
  clearProposalsPerEpochMax: 1_000,
  /** The total size of the plaintext proposals that may be pending in one epoch. */
  clearProposalsSizeBytesMax: 16_777_216,
  welcomeSizeBytesMax: 10_485_760,
  /**
   * Leaves that one Welcome may add, enough for every device of a full conversation (1,000 members with 20 devices
   * each).
   */
  joinersPerWelcomeMax: 20_000,
  /** The maximum number of hex characters of a group id, as in the lexicon (`maxLength`). */
  groupIdHexLengthMax: 128,
  keyPackagesPerBatchMax: 100,
  keyPackagesPerRegistrationMax: 200,
  /**
   * Ten years. A longer lifetime is shortened to this limit when it is stored, because ts-mls creates key packages
   * without an end by default.
   */
  keyPackageLifetimeMsMax: 3_650 * 86_400_000,
  devicesPerAccountMax: 20,
  /** Milliseconds after which a claimed device addition can be claimed again (lexicon claimPendingDeviceAddition). */
  deviceClaimMs: 60_000,
  /** Memberships that one call of getPendingDeviceAdditions searches when more devices wait than one query reads. */
  membersPerAdditionsPageMax: 10_000,
  /**
   * Waiting devices that one query reads. A subscriber for whom more devices wait must call getPendingDeviceAdditions.
   */
  devicesPerCatchUpMax: 500,
  /** The longest device name, as in the lexicon of registerDevice. */
  deviceNameSizeBytesMax: 128,
  /** The size of Ed25519 keys, which are the shortest signature keys of the supported cipher suites. */
  signatureKeySizeBytesMin: 32,
  devicesPerClaimMax: 50,
  /** Chat requests that one account may send on one day (UTC). */
  chatRequestsPerDayMax: 50,
  conversationsPerAccountMax: 4_000,
  membersPerConversationMax: 1_000,
  /** Invites of one conversation that have not ended. */
  invitesPerConversationMax: 200,
  /** Pending and decided reports of one conversation that are stored. */
  reportsPerConversationMax: 1_000,
  /** Pending reports of one reporter in one conversation. */
  openReportsPerReporterMax: 20,
  /** Enough for a report of 51,200 bytes in base64 with 20 message ids. */
  reportBodySizeBytesMax: 98_304,
  messagesPerPageMax: 100,
  commitsPerPageMax: 100,
  missingSeqsListedMax: 1_000,
  jsonDepthMax: 32,
  jsonKeyLengthMax: 256,
  /** Values in one JSON body. The largest valid body, for a conversation of 1,000 people, has about 5,000 values. */
  jsonValuesMax: 20_000,
  urlLengthMax: 16_384,
  headersMax: 64,
  /** The total size of header names, values and separators, without the URL. */
  headersSizeBytesMax: 8_192,
  headerNameLengthMax: 256,
  headerValueLengthMax: 4_096,
  /** The maximum payload of one WebSocket frame from a client. */
  clientFrameSizeBytesMax: 4_096,
  /** The maximum length of the header in which a proxy sends the client address. */
  proxyHeaderLengthMax: 2_048,
  tokenLengthMax: 4_096,
  tokenLifetimeSecondsMax: 300,
  clockLeewaySeconds: 30,
  didLengthMax: 2_048,
  /** Open subscriptions of one account on one server. */
  subscriptionsPerAccountMax: 10,
  /**
   * Frames that are buffered for a subscription while it reads the log. After more frames the subscription must read
   * them from the log too.
   */
  bufferedFramesMax: 500,
  bufferedSizeBytesMax: 1_048_576,
  subscriberBacklogSizeBytesMax: 1_048_576,
} as const;

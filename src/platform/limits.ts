/** Every size and count limit of the service, in one place. Sizes in bytes. */
export const limits = {
  /** Largest message or commit (lexicon `ciphertext`). */
  messageSizeBytesMax: 10_485_760,
  /** Base64 and JSON around the largest message. */
  requestBodySizeBytesMax: 14_680_064,
  /** Body limit of methods that carry no MLS blobs. */
  smallBodySizeBytesMax: 65_536,
  /** One key package of the largest size in base64, with its fields. */
  keyPackageBodySizeBytesMax: 131_072,
  /** A device's first 200 key packages, or a batch of 100 large ones. */
  keyPackagesBodySizeBytesMax: 8_388_608,
  /** ML-DSA-87 key packages are 14 kB; the lexicon caps the base64 text at 65,536 characters. */
  keyPackageSizeBytesMax: 49_152,
  /** A tree of 1,000 leaves with ML-KEM-1024 and ML-DSA-87 keys has 10.6 MB; base64 and JSON around it fit the request body. */
  groupInfoSizeBytesMax: 11_000_000,
  groupInfoSizeBytesMin: 100,
  /** A full conversation with every device that its members may have, rounded up to a power of two. */
  leavesPerGroupMax: 32_768,
  /** Six for each member of a full conversation; bounds the time that a commit in clear holds the event loop. */
  proposalsPerCommitMax: 6_000,
  /** Proposals in clear that may wait in one epoch; a commit that refers to them reads them all. */
  clearProposalsPerEpochMax: 1_000,
  /** The same in bytes. */
  clearProposalsSizeBytesMax: 16_777_216,
  welcomeSizeBytesMax: 10_485_760,
  /** Leaves one Welcome may add: every device of a full conversation would be 20 times its members. */
  joinersPerWelcomeMax: 20_000,
  /** Hex characters of a group id: the lexicon's `maxLength`. */
  groupIdHexLengthMax: 128,
  keyPackagesPerBatchMax: 100,
  keyPackagesPerRegistrationMax: 200,
  /** What is noted of a longer lifetime; ts-mls's default has no end. */
  keyPackageLifetimeMsMax: 3_650 * 86_400_000,
  devicesPerAccountMax: 20,
  /** A claimed addition is free again after this time (lexicon claimPendingDeviceAddition). */
  deviceClaimMs: 60_000,
  /** Memberships looked through by one getPendingDeviceAdditions, where too many devices wait to look through those. */
  membersPerAdditionsPageMax: 10_000,
  /** Waiting devices looked through at once; a subscriber who comes back to more has to ask getPendingDeviceAdditions. */
  devicesPerCatchUpMax: 500,
  /** Longest device name, as the lexicon of registerDevice has it. */
  deviceNameSizeBytesMax: 128,
  /** Ed25519 keys are the shortest of the known suites. */
  signatureKeySizeBytesMin: 32,
  devicesPerClaimMax: 50,
  /** Chat requests that one account may send on one day (UTC). */
  chatRequestsPerDayMax: 50,
  conversationsPerAccountMax: 4_000,
  membersPerConversationMax: 1_000,
  /** Those that have ended make room. */
  invitesPerConversationMax: 200,
  /** Kept at once, decided ones included. */
  reportsPerConversationMax: 1_000,
  /** Open ones of one reporter in one conversation. */
  openReportsPerReporterMax: 20,
  /** A report's 51,200 bytes in base64, with 20 message ids. */
  reportBodySizeBytesMax: 98_304,
  messagesPerPageMax: 100,
  commitsPerPageMax: 100,
  missingSeqsListedMax: 1_000,
  jsonDepthMax: 32,
  jsonKeyLengthMax: 256,
  /** Values in one JSON body; the largest honest one, a conversation of 1,000 people, has about 5,000. */
  jsonValuesMax: 20_000,
  urlLengthMax: 16_384,
  headersMax: 64,
  /** Names, values and what is around them; the URL not counted. */
  headersSizeBytesMax: 8_192,
  headerNameLengthMax: 256,
  headerValueLengthMax: 4_096,
  /** What one WebSocket frame of a client may hold. */
  clientFrameSizeBytesMax: 4_096,
  /** What is read of the header in which a proxy names the client. */
  proxyHeaderLengthMax: 2_048,
  tokenLengthMax: 4_096,
  tokenLifetimeSecondsMax: 300,
  clockLeewaySeconds: 30,
  didLengthMax: 2_048,
  /** Live subscriptions of one account on one server. */
  subscriptionsPerAccountMax: 10,
  /** What may wait for one subscriber before it is cut or has to read from the log. */
  bufferedFramesMax: 500,
  bufferedSizeBytesMax: 1_048_576,
  subscriberBacklogSizeBytesMax: 1_048_576,
} as const;

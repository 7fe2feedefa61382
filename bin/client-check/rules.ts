/** One thing that a client of the service has to do, and how the check sees that it did not. */
export interface Rule {
  readonly id: string;
  /** What the contract says. */
  readonly says: string;
  /** Page below `docs/`, with a section. */
  readonly page: string;
  /** What the check observes. */
  readonly seenBy: string;
}

/** All rules, in the order of a client's life. `docs/client-check.md` lists them. */
export const rules = [
  {
    id: 'starts',
    says: 'A client registers its device with key packages and opens an event stream.',
    page: 'api/registerDevice.md',
    seenBy: 'No successful registration, or no open stream, within the time for an answer.',
  },
  {
    id: 'token-once',
    says: 'A service token is accepted once: each call, a repeated one too, has a new token.',
    page: 'tokens.md#what-does-the-service-check',
    seenBy: 'Two requests have the same `jti`.',
  },
  {
    id: 'token-method',
    says: '`lxm` is the NSID of the called method.',
    page: 'tokens.md#what-does-the-service-check',
    seenBy: 'The claim `lxm` is another NSID.',
  },
  {
    id: 'token-audience',
    says: '`aud` is the DID of the service.',
    page: 'tokens.md#what-does-the-service-check',
    seenBy: 'The claim `aud` is another text.',
  },
  {
    id: 'token-lifetime',
    says: 'A token is valid now, and for at most 300 seconds from `iat` to `exp`.',
    page: 'tokens.md#what-does-the-service-check',
    seenBy: 'The claims `iat` and `exp` say otherwise, or `iat` is missing.',
  },
  {
    id: 'token-signature',
    says: 'A token is signed with the key that the DID document has now; a key may change at any time.',
    page: 'tokens.md#what-happens-when-a-key-changes',
    seenBy:
      'The service refuses a token as `BadJwtSignature` or `BadJwt`, or an answer is missing after the key has changed.',
  },
  {
    id: 'valid-request',
    says: 'Requests fit the lexicon of the method.',
    page: 'api/README.md',
    seenBy: 'The service refuses a request with status 400, 405, 413 or 415, or the method does not exist.',
  },
  {
    id: 'last-resort',
    says: 'One key package of the device is a last-resort package, so that others can add it when the one-time packages are used up.',
    page: 'api/publishKeyPackages.md',
    seenBy: 'No published key package has the last-resort extension.',
  },
  {
    id: 'key-package-once',
    says: 'Each key package is published once; a package that others may have used is never published again.',
    page: 'api/publishKeyPackages.md',
    seenBy: 'A call publishes a key package that an earlier successful call has published.',
  },
  {
    id: 'key-packages-low',
    says: 'After the notice `keyPackagesLow` the device publishes more key packages.',
    page: 'api/subscribeConvoEvents.md#infoevent',
    seenBy: 'No key packages are published after the notice, and the service still counts too few.',
  },
  {
    id: 'welcome-confirmed',
    says: 'A client reports with confirmWelcome whether it could use a Welcome.',
    page: 'api/confirmWelcome.md',
    seenBy: 'getWelcome returned a Welcome, and no confirmWelcome follows.',
  },
  {
    id: 'welcome-missing',
    says: 'After `WelcomeNotFound` a client joins by external commit or asks a member; it does not ask again and again.',
    page: 'api/getWelcome.md#errors',
    seenBy:
      'More than five calls of getWelcome for one conversation after `WelcomeNotFound`, or the client never joins.',
  },
  {
    id: 'padding',
    says: 'A message is padded to 512, 1024, 2048, 4096 or 8192 bytes or a multiple of 8192, and `paddedSize` is its size.',
    page: 'api/sendMessage.md#input',
    seenBy: '`ciphertext` has another size, or `paddedSize` differs from its size.',
  },
  {
    id: 'send-once',
    says: 'A repeated send has the same `msgId`, so that the service stores the message once.',
    page: 'api/sendMessage.md',
    seenBy: 'The check gets an answer twice, or two calls have the same ciphertext and different `msgId`s.',
  },
  {
    id: 'message-unchanged',
    says: 'The service stores the bytes of the first send of a `msgId`; a repeated send in the same epoch has the same bytes.',
    page: 'api/sendMessage.md',
    seenBy: 'Two calls of sendMessage with one `msgId` and one epoch have different ciphertexts.',
  },
  {
    id: 'idempotency-key',
    says: 'An idempotency key belongs to one input; another input gets another key.',
    page: 'errors.md#which-errors-do-methods-send',
    seenBy: 'The service refuses a call with `IdempotencyKeyReused`.',
  },
  {
    id: 'epoch-over',
    says: 'After `EpochMismatch` a client fetches and applies the commits up to `currentEpoch` before it sends again.',
    page: 'errors.md#which-errors-do-methods-send',
    seenBy: 'A message or commit of an epoch below `currentEpoch` is sent after the response that says so.',
  },
  {
    id: 'retry-after',
    says: 'A call that got 429 or 503 is repeated when the seconds in `Retry-After` are over, not before.',
    page: 'quotas.md',
    seenBy: 'The same method is called for the same conversation before that time.',
  },
  {
    id: 'back-off',
    says: 'A call without a response is repeated after a wait that grows.',
    page: 'client-check.md#what-counts-as-back-off',
    seenBy: 'More than five attempts of one call within one second.',
  },
  {
    id: 'one-stream',
    says: 'One stream has the events of all conversations; a device opens one at a time.',
    page: 'streams.md',
    seenBy: 'Two streams are open for more than a second.',
  },
  {
    id: 'ticket-once',
    says: 'A ticket opens one subscription.',
    page: 'api/getSubscriptionTicket.md',
    seenBy: 'Two connections have the same ticket.',
  },
  {
    id: 'stream-cursor',
    says: 'A client reconnects with the last cursor that it received.',
    page: 'streams.md',
    seenBy:
      'A further connection has no cursor, one that was not sent to this client, or one before an event that the client has answered.',
  },
  {
    id: 'stream-back-off',
    says: 'A client waits before it connects again, longer after each failure.',
    page: 'client-check.md#what-counts-as-back-off',
    seenBy: 'More than eight refused connections within three seconds.',
  },
  {
    id: 'cursor-unknown',
    says: 'After the notice `cursorUnknown` a client fetches what is missing with getMessages.',
    page: 'api/subscribeConvoEvents.md#infoevent',
    seenBy: 'A ping that was sent while the client had no stream gets no answer.',
  },
  {
    id: 'all-pages',
    says: 'A page may be shorter than asked for; a client reads on with `lastSeq` as `sinceSeq` until a page is empty.',
    page: 'api/getMessages.md',
    seenBy: 'With pages of two messages, a ping gets no answer.',
  },
  {
    id: 'duplicate-events',
    says: 'A stream may repeat an event; a client processes each message once.',
    page: 'streams.md',
    seenBy: 'A ping that the stream repeats is answered twice.',
  },
  {
    id: 'in-order',
    says: 'A client processes the messages of a conversation in the order of `seq`.',
    page: 'streams.md',
    seenBy: 'Answers in one conversation come in another order than the pings.',
  },
  {
    id: 'after-removal',
    says: 'A client that was removed sends nothing more to the conversation.',
    page: 'api/sendMessage.md#errors',
    seenBy: 'A message or commit is sent more than a second after the client has learned of its removal.',
  },
  {
    id: 'answers',
    says: 'After every fault that the contract allows, a client works again.',
    page: 'client-check.md#the-echo-protocol',
    seenBy: 'A ping or an update gets no answer in time.',
  },
] as const satisfies readonly Rule[];

export type RuleId = (typeof rules)[number]['id'];

export function ruleOf(id: RuleId): Rule {
  const found = rules.find((rule) => rule.id === id);
  if (found === undefined) throw new RangeError(`there is no rule ${id}`);
  return found;
}

/** One breach of a rule. */
export interface Finding {
  readonly rule: RuleId;
  /** What the client did, in a sentence. */
  readonly seen: string;
}

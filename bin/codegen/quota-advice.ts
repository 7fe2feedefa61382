import type { QuotaName } from '#quota/table/quotas.ts';

/** The symptoms of a quota that is too low or too high, and how to tune it. */
export interface QuotaAdvice {
  readonly tooLow: string;
  readonly tooHigh: string;
  readonly tune: string;
}

/** The advice for each quota; `docs/quotas.md` is generated from it. */
export const quotaAdvice: Readonly<Record<QuotaName, QuotaAdvice>> = {
  address: {
    tooLow:
      'phones that start behind one office or mobile network get 429 with the limit `address` although their tokens are valid: more requests wait for their signature check at the same time than the burst allows.',
    tooHigh: 'forged tokens cost CPU time for signature checks and DID lookups.',
    tune: 'raise the burst first; it must allow the requests that arrive during one DID lookup (a tenth of a second). Charges are refunded once the token is verified, so authenticated requests need no extra rate.',
  },
  network: {
    tooLow: 'many IPv6 homes in the area of one provider get 429 with the limit `network` at the same time.',
    tooHigh: 'a client with its own /48 gets as many separate limits as it has /64s.',
    tune: 'keep rate and burst at about eight times those of `address`.',
  },
  failedAuth: {
    tooLow:
      'a client with a wrong clock or a wrong audience gets 429 before its operator can read the error of its tokens.',
    tooHigh: 'an attacker can try many tokens; each attempt still costs the quota `address`.',
    tune: 'leave it at 10. `AUTH_BAN_AFTER_FAILURES` decides when an address is banned.',
  },
  sendMessage: {
    tooLow: 'people who forward many pictures or paste long texts get 429; their clients send late.',
    tooHigh: 'one account can fill a conversation, and every member has to fetch it.',
    tune: 'measure the busiest minute of your bots; `callerBytes` and `conversationBytes` limit the size separately from the number.',
  },
  publishKeyPackages: {
    tooLow: 'new devices start with few key packages, and clients that publish them one by one stop half-way.',
    tooHigh: 'each package costs a signature check and a row.',
    tune: 'one call of publishKeyPackages may contain 100 packages: raise the limit only for clients that call publishKeyPackage in a loop.',
  },
  addMembers: {
    tooLow: 'an admin who builds a large group in small steps gets 429.',
    tooHigh:
      'one account can add many people to groups, and the commits of other members lose the race for the epoch against its commits.',
    tune: 'one call can add many people at once; raise it for communities whose admins add people one by one.',
  },
  commit: {
    tooLow: 'devices that update their keys in many conversations at the same time get 429, and update them later.',
    tooHigh: 'one account can raise epochs so fast that the messages and commits of other members lose the race.',
    tune: 'raise it with the number of conversations of your most active users, if their clients update keys in all of them at once.',
  },
  removeMember: {
    tooLow: 'admins cannot remove a large number of spam accounts.',
    tooHigh: 'an attacker with a stolen admin account empties a group before another admin notices.',
    tune: 'raise it while you remove accounts, then lower it again.',
  },
  createConvo: {
    tooLow: 'people who start conversations with several others one after the other get 429.',
    tooHigh: 'one account can invite people in bulk.',
    tune: 'keep it low on an open service; on a closed one 20 is safe.',
  },
  reportMember: {
    tooLow: 'a member who reports many spam accounts gets 429 half-way through.',
    tooHigh: 'admins get more reports than they can read.',
    tune: 'separate limits apply to open reports, so raising it is safe.',
  },
  registerDevice: {
    tooLow:
      'a new phone cannot register: clients try three times within 12 seconds, so below 3 every network error ends in 429.',
    tooHigh: 'a device brings up to 200 key packages, each with a signature check.',
    tune: 'leave it at 10 or more.',
  },
  pendingAdditions: {
    tooLow: 'new devices are added late, because the other clients stop calling the method.',
    tooHigh: 'each call reads the members of all conversations of the caller.',
    tune: 'clients call the method when they start and on the event `newDevice`; 30 is enough for clients that also poll.',
  },
  syncKeyPackages: {
    tooLow: 'packages without a private key stay available, and people are added to devices that cannot join.',
    tooHigh: 'each call opens all packages of a device.',
    tune: 'one call per start of the app is enough; leave it.',
  },
  getMessages: {
    tooLow:
      'messages come late in clients that poll or have many conversations: each start fetches every conversation once.',
    tooHigh: 'one polling client takes database time from all other clients.',
    tune: 'it must be above the number of conversations of your most active users, because their app fetches all of them when it starts.',
  },
  sendChatRequest: {
    tooLow: 'a new user who writes to many people gets 429.',
    tooHigh: 'one account can send requests to people in bulk.',
    tune: 'a separate limit of 50 a day applies too.',
  },
  checkBlocks: {
    tooLow: 'blocks in large groups cannot be checked in one go.',
    tooHigh: "your server sends requests to other people's servers for one caller, a hundred for each call.",
    tune: 'leave it unless you run the PDS of all your users.',
  },
  subscribe: {
    tooLow: 'on a bad mobile network the event stream stays closed for up to a minute after the network is back.',
    tooHigh: 'a client can open and close connections in a loop; each costs a ticket and a catch-up read.',
    tune: 'a connection counts twice, once for its ticket and once for itself: 30 are 15 connections a minute.',
  },
  processExternalCommit: {
    tooLow: 'a device that lost its state rejoins only some of its conversations at once, and the others late.',
    tooHigh: 'the commits of all other members lose the race for the epoch against those of one account.',
    tune: 'a rejoining device joins each of its conversations once: raise it if your users are in many.',
  },
  callerBytes: {
    tooLow:
      'a user who sends files one after the other gets 429; the server refuses to start with a value below the largest request.',
    tooHigh: 'one account fills the disk: 20 MiB a minute are 28 GB a day.',
    tune: 'watch the growth of the database; stored messages stay for `MESSAGE_TTL_DAYS`.',
  },
  conversationBytes: {
    tooLow: 'members of a large, busy conversation get 429 although each of them sends little.',
    tooHigh: 'every member has to download that much every minute.',
    tune: 'keep it at two to three times `callerBytes`, so that one member alone cannot use it up.',
  },
  keyPackageTargetByCaller: {
    tooLow: 'a user who starts many groups with the same person gets the last-resort package from the second group on.',
    tooHigh: 'a few accounts together use up all available packages of a person.',
    tune: 'a repeated request within ten minutes gets the same package and is not counted; leave it at 5.',
  },
  keyPackageTarget: {
    tooLow: 'popular people are added with their last-resort package, which is used more than once.',
    tooHigh:
      'many new accounts together use up the available packages down to the reserve, one package for each device.',
    tune: 'keep it at a quarter of `MAX_KEY_PACKAGES_PER_DEVICE`: clients publish new packages when they come online, which may be hours later.',
  },
  callerDefault: {
    tooLow: 'various calls fail with the limit `callerDefault`, mostly when an app starts.',
    tooHigh: 'every method that is not listed here may be called as often as this limit allows.',
    tune: 'an app makes 10 to 20 of these calls when it starts; keep it at ten times that number.',
  },
};

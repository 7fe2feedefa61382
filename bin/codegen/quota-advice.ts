import type { QuotaName } from '#quota/table/quotas.ts';

/** What an operator sees when a limit does not fit, and what to do. */
export interface QuotaAdvice {
  readonly tooLow: string;
  readonly tooHigh: string;
  readonly tune: string;
}

/** For each row of the quota table; `docs/quotas.md` is made from it. */
export const quotaAdvice: Readonly<Record<QuotaName, QuotaAdvice>> = {
  address: {
    tooLow:
      'phones that start behind one office or mobile network get 429 with the limit `address` although they sign in properly: more of them wait for their signature check at once than the burst holds.',
    tooHigh: 'the CPU goes into signatures and DID lookups of tokens that turn out forged.',
    tune: 'raise the burst first; it must hold what arrives within one DID lookup (a tenth of a second). Charges are given back once the token is verified, so the rate needs no head-room for honest traffic.',
  },
  network: {
    tooLow: 'many IPv6 homes of one provider area get 429 with the limit `network` at the same time.',
    tooHigh: 'somebody with a /48 of their own gets as many fresh limits as it has /64s.',
    tune: 'keep rate and burst at about eight times those of `address`.',
  },
  failedAuth: {
    tooLow:
      'a client with a wrong clock or a wrong audience gets 429 before anybody can read which error its tokens have.',
    tooHigh: 'guessing is cheap; each guess still costs the quota `address`.',
    tune: 'leave it at 10. `AUTH_BAN_AFTER_FAILURES` decides when an address is shut out altogether.',
  },
  sendMessage: {
    tooLow: 'people who forward many pictures or paste long talks get 429; their clients send late.',
    tooHigh: 'one account can fill a conversation, and every member has to fetch it.',
    tune: 'look at the most talkative minute of bots that you run; `callerBytes` and `conversationBytes` bound the size apart from the number.',
  },
  publishKeyPackages: {
    tooLow: 'new devices come up with few key packages, and clients that publish them one by one stop half-way.',
    tooHigh: 'each package costs a signature check and a row.',
    tune: 'one call of publishKeyPackages may carry 100 packages: raise it only for clients that use publishKeyPackage in a loop.',
  },
  addMembers: {
    tooLow: 'somebody who builds a large group in small steps gets 429.',
    tooHigh:
      'one account can pull many people into groups, and its commits make those of others lose the race for the epoch.',
    tune: 'one call can add many people at once; raise it for communities whose admins add one by one.',
  },
  commit: {
    tooLow: 'devices that renew their keys in many conversations at one time get 429, and renew them later.',
    tooHigh: 'one account can raise epochs so fast that the messages and commits of others lose the race.',
    tune: 'raise it with the number of conversations of your busiest people, if their clients renew keys in all of them at once.',
  },
  removeMember: {
    tooLow: 'admins cannot clear out a flood of spam accounts.',
    tooHigh: 'a stolen admin account empties a group before anybody notices.',
    tune: 'raise it while you clean up, then take it back.',
  },
  createConvo: {
    tooLow: 'people who write to several others one after the other get 429.',
    tooHigh: 'strangers are invited in bulk.',
    tune: 'keep it low on an open service; on a closed one 20 does no harm.',
  },
  reportMember: {
    tooLow: 'somebody who reports a raid gets 429 half-way through.',
    tooHigh: 'admins drown in reports.',
    tune: 'limits on open reports hold beside it, so raising it is safe.',
  },
  registerDevice: {
    tooLow:
      'a new phone cannot register: clients try three times within 12 seconds, so below 3 every hiccup ends in 429.',
    tooHigh: 'a device brings up to 200 key packages, each with a signature check.',
    tune: 'leave it at 10 or more.',
  },
  pendingAdditions: {
    tooLow: 'new devices are added late, because the others stop asking for them.',
    tooHigh: 'each call opens the rosters of all conversations of the caller.',
    tune: 'clients ask when they start and on the event `newDevice`; 30 is ample for those that also poll.',
  },
  syncKeyPackages: {
    tooLow: 'packages without a private key stay in stock, and people are added to devices that cannot join.',
    tooHigh: 'each call opens all packages of a device.',
    tune: 'once per start of the app is enough; leave it.',
  },
  getMessages: {
    tooLow:
      'messages come late, in clients that poll or have many conversations: each start fetches every conversation once.',
    tooHigh: 'one polling client takes database time from all.',
    tune: 'it must be above the number of conversations of your busiest people, as all are fetched when their app starts.',
  },
  sendChatRequest: {
    tooLow: 'somebody who is new and writes to many people gets 429.',
    tooHigh: 'strangers are written to in bulk.',
    tune: 'a daily limit of 50 holds beside it.',
  },
  checkBlocks: {
    tooLow: 'large groups cannot be checked for blocks at once.',
    tooHigh: "your server asks other people's servers on behalf of one caller, a hundred for each call.",
    tune: 'leave it unless you run the PDS of all your users.',
  },
  subscribe: {
    tooLow: 'on a bad mobile network the live stream stays away for a minute although the network is back.',
    tooHigh: 'connections are made and dropped in a loop; each costs a ticket and a catch-up read.',
    tune: 'a connection counts twice, for its ticket and for itself: 30 are 15 connections a minute.',
  },
  processExternalCommit: {
    tooLow: 'a device that lost its state comes back into some of its conversations only, and late into the others.',
    tooHigh: 'one account makes the commits of everybody else lose the race for the epoch.',
    tune: 'a returning device joins each of its conversations once: raise it if your people are in many.',
  },
  callerBytes: {
    tooLow:
      'somebody who sends files one after the other gets 429; below the largest request the setting is refused at the start.',
    tooHigh: 'one account fills the disk: 20 MiB a minute are 28 GB a day.',
    tune: 'watch the growth of the database beside it; what is stored stays for `MESSAGE_TTL_DAYS`.',
  },
  conversationBytes: {
    tooLow: 'members of a large, lively conversation get 429 although each of them sends little.',
    tooHigh: 'every member has to download that much every minute.',
    tune: 'keep it at two to three times `callerBytes`, so that one member alone cannot use it up.',
  },
  keyPackageTargetByCaller: {
    tooLow:
      'somebody who starts many groups with the same person gets the last-resort package from the second group on.',
    tooHigh: 'a few accounts together use up a whole stock.',
    tune: 'asking again within ten minutes gives the same package and is not counted; leave it at 5.',
  },
  keyPackageTarget: {
    tooLow: 'popular people are added with their last-resort package, which is used more than once.',
    tooHigh: 'a crowd of fresh accounts uses up the stock down to its reserve, one package for each device.',
    tune: 'keep it at a quarter of `MAX_KEY_PACKAGES_PER_DEVICE`: clients fill up when they come online, which may be hours later.',
  },
  callerDefault: {
    tooLow: 'various calls fail with the limit `callerDefault`, most of all when an app starts.',
    tooHigh: 'anything that is not listed here may be asked for as often.',
    tune: 'an app makes 10 to 20 such calls when it starts; keep it at ten times that.',
  },
};

/** A private word that the project does not use any more. */
export interface RetiredWord {
  /** Matched against lower-case text in which `camelCase`, `snake_case` and `kebab-case` are separate words. */
  readonly pattern: RegExp;
  /** The field's word for it. */
  readonly instead: string;
  /** One text for each alternative of the pattern that has to be found; the test plants them. */
  readonly examples: readonly string[];
}

/** Words that a reader could not guess, with the standard term that replaced each. */
export const retiredWords: readonly RetiredWord[] = [
  {
    pattern: /\bdoor(s|keepers?)?\b|\bat the door\b/,
    instead: 'client-address limiter',
    examples: ['createDoorkeeper', 'AtTheDoor', 'who stands at the door'],
  },
  {
    pattern: /\bdoorbells?\b|\bbells?\b|\brings?\b(?! buffer)(?= (the|a|other|on))|\brung\b/,
    instead: 'notification, notify, wake-up',
    examples: ['createLocalDoorbell', 'hearStockBell', 'rings the other servers', 'it is rung by a worker'],
  },
  { pattern: /\bvisitors?\b/, instead: 'request, client', examples: ['the visitor', 'readonly visitor: Visitor'] },
  {
    pattern: /\bsuspects?\b/,
    instead: 'failed authentication',
    examples: ['suspect(visitor)', 'const suspects = new Map()'],
  },
  {
    pattern: /\brecogni[sz](e|es|ed|ing)\b/,
    instead: 'refund (a quota), identify, detect',
    examples: ['limiter.recognise(charge)', 'is recognised by the client'],
  },
  {
    pattern: /\bhand(s|ed|ing)? (it |them |this |something )?over\b/,
    instead: 'respond, return, pass',
    examples: ['handedOver(response)', 'hands them over to the app', 'hand-over'],
  },
  {
    pattern: /\baside\b/,
    instead: 'outside the admission limit',
    examples: ['runAside(task)', 'requests that stepped aside'],
  },
  { pattern: /\bgoodbyes?\b/, instead: 'close', examples: ['sendGoodbye()', 'a goodbye frame'] },
  {
    pattern:
      /\b(job|held|taken?|lost|open|end|this|its|each|scheduled) turns?\b|\bturns? (of|is|was) (a |the )?(job|taken|lost|over|held)\b/,
    instead: 'lease (of a job, with its fencing token), run',
    examples: ['openTurn', 'the turn of a job', 'a lost turn', 'JobTurn'],
  },
  { pattern: /\bstrangers?\b/, instead: 'non-member, unauthorized caller', examples: ['a stranger', 'strangersMax'] },
  {
    pattern: /\bformer\b/,
    instead: 'removed (member), previous (release), earlier',
    examples: ['a former member', 'formerRelease'],
  },
  { pattern: /\breturners?\b/, instead: 'rejoining member', examples: ['requireReturner'] },
  {
    pattern: /\b(re)?stock(s|ed|ing)?\b/,
    instead: 'available key packages',
    examples: ['reportStock', 'stocks of devices', 'a restocked device'],
  },
  {
    pattern: /\b(log|stream|queue|page|package) places?\b|\bplaces? in the (log|queue)\b|\bof its places\b/,
    instead: 'position (in a log or page), slot (of a limit)',
    examples: ['LogPlace', 'streamPlaces', 'its place in the log'],
  },
  { pattern: /\btid(y|ies|ied)\b/, instead: 'conventions', examples: ['test/tidy', 'tidied'] },
  { pattern: /\bhouse ?keep(ing|er)?\b/, instead: 'background tasks', examples: ['startHousekeeping', 'housekeeper'] },
  { pattern: /\blanes?\b/, instead: 'expiry queue', examples: ['createLanes', 'its lane'] },
  { pattern: /\bpacked states?\b/, instead: 'compact state', examples: ['PackedStates', 'a packed state'] },
  {
    pattern: /\btend(s|ing|ed)?\b(?! to be)/,
    instead: 'maintain',
    examples: ['startTending', 'a job that tends the queue'],
  },
  {
    pattern: /(?<!promise[.]all )\bsettl(e|es|ed|ing|ement|ements)\b/,
    instead: 'apply deferred writes',
    examples: ['settleWrites', 'the next settlement', 'is settled'],
  },
  {
    pattern: /\b(un)?mix(es|ing)\b|\bunmixed\b|\bmix (rows?|tables?)\b|\bmixed (rows?|tables?)\b/,
    instead: 'shuffle rows',
    examples: ['beginMixing', 'hasUnmixed', 'mixRows', 'mixedTables'],
  },
  {
    pattern: /\blook(s|ed|ing)? (at|after|through|into|by themselves|anew)\b|\bthe look\b/,
    instead: 'check, read, inspect, scan',
    examples: ['lookAt(dids)', 'is looked through', 'after the look'],
  },
  {
    pattern: /\b(hold|holds|held|holding)( it| them)? against\b/,
    instead: 'compare with, check against',
    examples: ['is held against the policy', 'holds it against the roster'],
  },
  {
    pattern: /\bjudg(e|es|ed|ing|ement)\b/,
    instead: 'check, decide',
    examples: ['judgeCommit', 'each is judged alone'],
  },
  { pattern: /\b(request|shared) li(fe|ves)\b/, instead: 'request deadline', examples: ['RequestLife', 'SharedLife'] },
  { pattern: /\bwish(es|ed)?\b/, instead: 'request, option', examples: ['what the client wishes', 'wish'] },
  { pattern: /\bthie(f|ves)\b/, instead: 'attacker with the data folder', examples: ['a thief'] },
  { pattern: /\bnewcomers?\b/, instead: 'new client, new key', examples: ['newcomers'] },
  {
    pattern: /\b(whoever|whomever|somebody|anybody)\b/,
    instead: 'a noun: the client, a member, the operator',
    examples: ['whoever asks', 'by somebody else', 'if anybody is there'],
  },
  { pattern: /\bnarrat(or|es?)\b/, instead: 'output', examples: ['createNarrator'] },
  {
    pattern: /\bunborn\b|\bbear(s|ing)?\b(?! token)/,
    instead: 'missing, create',
    examples: ['isUnborn', 'bearRecord'],
  },
  { pattern: /\bin vain\b/, instead: 'without success', examples: ['was asked for in vain'] },
  { pattern: /\bof before\b/, instead: 'earlier', examples: ['the WAL of before'] },
  { pattern: /\bpassing failures?\b/, instead: 'transient error', examples: ['passing-failure.ts'] },
];

/** Names that are stored or configured outside the code, and so never change: tables, columns, settings, channels, purposes. */
export const fixedNames: readonly string[] = [
  'job_turns',
  'turn_at',
  'last_settlement',
  'settled_at',
  'SETTLE_INTERVAL_SECONDS',
  'nightjar_stock',
  'nightjar.mixing',
  'watch-key-package-stock',
  '0016-claims-of-former-releases',
];

/** Where a retired word has to stay, and why. */
export const exceptions: readonly { readonly path: RegExp; readonly word: RegExp; readonly reason: string }[] = [
  {
    path: /^test\/conventions\/retired-words[.]ts$/,
    word: /./,
    reason: 'This is the list.',
  },
  {
    path: /^CHANGELOG[.]md$/,
    word: /doorbell|settlement|stock/,
    reason: 'An entry names what was renamed.',
  },
  {
    path: /^src\/domain\/messages\/store-messages[.]ts$/,
    word: /stranger|former/,
    reason: 'These are results of the SQL function store_messages of a migration.',
  },
  {
    path: /^migrations\//,
    word: /./,
    reason: 'The SQL and the name of a migration never change once it has run.',
  },
];

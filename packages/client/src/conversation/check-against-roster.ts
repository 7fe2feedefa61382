import { areEqual } from '../api/bytes.ts';
import type { MessageView } from '../api/methods.ts';
import { entriesOf, messagesAfter } from '../api/pages.ts';
import type { GroupState, ProcessedMessage } from '../mls/mls-engine.ts';
import { checkCommit, needsRoster } from './check-commit.ts';
import type { CommitRefusalReason, LaterCommits, Roster } from './check-commit.ts';
import { unpad } from './padding.ts';
import type { MessageTarget } from './message-target.ts';

export type ProcessedCommit = Extract<ProcessedMessage, { kind: 'commit' }>;

/** The roster may change during the check. */
const readingsMax = 10;
/** The last roster that a conversation has read; it serves all commits up to its epoch. */
const lastRosters = new WeakMap<MessageTarget, Roster>();

/**
 * Checks a commit that another member made, before this device applies it. The roster is read only if the commit changed whose leaves are
 * in the group; a refusal needs a second reading, because the service reads epoch and members one after the other.
 * @returns undefined when the commit is allowed. @throws ApiError, NoResponseError.
 */
export async function checkAgainstRoster(
  target: MessageTarget,
  message: MessageView,
  processed: ProcessedCommit,
): Promise<CommitRefusalReason | undefined> {
  const { effect } = processed;
  if (effect.changesCredential || !needsRoster(effect)) return checkCommit(effect, undefined, undefined);
  const last = lastRosters.get(target);
  let roster = last !== undefined && last.epoch >= message.epoch ? last : await readRoster(target);
  for (let reading = 1; ; reading += 1) {
    const reason = await checkWith(roster, { target, message, processed });
    if (reason === undefined || reading === readingsMax) return reason;
    const next = await readRoster(target);
    const isSame = next?.epoch === roster?.epoch;
    roster = next;
    if (isSame) return checkWith(roster, { target, message, processed });
  }
}

interface ReceivedCommit {
  readonly target: MessageTarget;
  readonly message: MessageView;
  readonly processed: ProcessedCommit;
}

async function checkWith(
  roster: Roster | undefined,
  received: ReceivedCommit,
): Promise<CommitRefusalReason | undefined> {
  const { message, processed } = received;
  const reason = checkCommit(processed.effect, roster, undefined);
  if (reason === undefined || roster === undefined || roster.epoch <= message.epoch) return reason;
  const later = await readAhead(received, roster.epoch);
  return later === 'removed' ? undefined : checkCommit(processed.effect, roster, later);
}

async function readRoster(target: MessageTarget): Promise<Roster | undefined> {
  const { context, convoId } = target;
  lastRosters.delete(target);
  for await (const convo of entriesOf(context.api, 'getConvos', { limit: 100 }, { signal: target.signal() })) {
    if (convo.groupId !== convoId) continue;
    const roster = {
      epoch: convo.epoch,
      members: new Set(convo.members.map(({ did }) => did)),
      admins: new Set(convo.members.filter(({ isAdmin }) => isAdmin).map(({ did }) => did)),
      departed: new Set(convo.needsRemovalCommit),
    };
    lastRosters.set(target, roster);
    return roster;
  }
  return undefined;
}

/**
 * Follows the log from the commit to the epoch of the roster, and stores nothing.
 * @returns `removed` when a commit on the way removed this device, which then joins anew in any case; undefined when one cannot be processed.
 */
async function readAhead(
  { target, message, processed }: ReceivedCommit,
  untilEpoch: number,
): Promise<LaterCommits | 'removed' | undefined> {
  const { context, convoId } = target;
  const { engine } = context;
  if (processed.isRemoved) return 'removed';
  const addedDids = new Set<string>();
  let state = processed.nextState;
  const options = { signal: target.signal() };
  for await (const later of messagesAfter(context.api, convoId, message.seq, options)) {
    if (later.epoch > untilEpoch) break;
    const next = await step(target, state, later);
    if (next?.kind === 'commit') {
      if (next.isRemoved) return 'removed';
      for (const did of next.effect.addedDids) addedDids.add(did);
    } else if (later.messageType === 'commit') return undefined;
    state = next?.nextState ?? state;
  }
  return { addedDids, memberDids: new Set(engine.describe(state).members.map(({ did }) => did)) };
}

async function step(
  target: MessageTarget,
  state: GroupState,
  { ciphertext, digest, messageType }: MessageView,
): Promise<ProcessedMessage | undefined> {
  const { engine, identity } = target.context;
  const { pending } = target.record();
  if (messageType === 'commit' && pending !== undefined && areEqual(digest, pending.digest)) {
    const { did } = identity;
    const effect = { committerDid: did, addedDids: [did], newDids: [], removed: [], changesCredential: false };
    return { kind: 'commit', nextState: pending.nextState, isRemoved: false, effect };
  }
  return engine.process(state, unpad(ciphertext)).catch(() => undefined);
}

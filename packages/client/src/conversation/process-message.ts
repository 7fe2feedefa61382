import { areEqual } from '../api/bytes.ts';
import type { MessageView } from '../api/methods.ts';
import type { ProcessedMessage } from '../mls/mls-engine.ts';
import { checkAgainstRoster } from './check-against-roster.ts';
import type { ProcessedCommit } from './check-against-roster.ts';
import { CommitRefusedError, LostGroupError } from './conversation-error.ts';
import type { MessageTarget } from './message-target.ts';
import { unpad } from './padding.ts';
import { change, keys } from './records.ts';
import type { GroupRecord, InboxRecord } from './records.ts';

/**
 * Processes the next message of the log: stores what it changes, then tells the app.
 * @throws LostGroupError when commits are missing before it, or when it has removed this device; CommitRefusedError when it is a commit that
 *   its committer may not make; ApiError, NoResponseError when that cannot be checked now.
 */
export async function processMessage(target: MessageTarget, message: MessageView): Promise<void> {
  const { context, convoId } = target;
  const record = target.record();
  const { seq, id } = message;
  const own = record.outgoing.find(({ messageId }) => messageId === id);
  if (own !== undefined) {
    const outgoing = record.outgoing.filter((each) => each !== own);
    const inbox = { content: own.content, senderDid: context.identity.did };
    return deliver(target, message, { ...record, lastSeq: seq, outgoing }, inbox);
  }
  if (message.messageType === 'commit') return processCommit(target, message);
  const { joined } = record;
  if (joined !== undefined && message.epoch < joined.epoch) {
    await target.store({ ...record, lastSeq: seq });
    if (joined.isRejoin) await context.emit({ kind: 'unreadable', convoId, seq });
    return;
  }
  if (record.pending === undefined && message.epoch > context.engine.describe(record.state).epoch) {
    // The service has deleted the commits in between.
    await target.store({ ...record, needsJoin: 'anew' });
    throw new LostGroupError(convoId);
  }
  const processed = await decrypt(target, message);
  if (processed === undefined || processed.kind === 'commit') {
    await target.store({ ...record, lastSeq: seq });
    await context.emit({ kind: 'unreadable', convoId, seq });
  } else if (processed.kind === 'proposal') {
    await target.store({ ...record, lastSeq: seq, state: processed.nextState });
  } else {
    const next = { ...record, lastSeq: seq, state: processed.nextState };
    await deliver(target, message, next, processed);
  }
}

/** Applies the commit of another member, or adopts the own one that has won its epoch. */
async function processCommit(target: MessageTarget, message: MessageView): Promise<void> {
  const { context, convoId } = target;
  const record = target.record();
  const { epoch } = context.engine.describe(record.state);
  const lastSeq = message.seq;
  // The Welcome or the external commit has brought this device to that epoch already.
  if (message.epoch <= epoch) return target.store({ ...record, lastSeq });
  if (record.pending !== undefined && areEqual(message.digest, record.pending.digest)) {
    await target.store({ ...record, lastSeq, state: record.pending.nextState, pending: undefined });
    return target.emitEpoch();
  }
  const processed = message.epoch === epoch + 1 ? await decrypt(target, message) : undefined;
  if (processed?.kind === 'commit') await refuseForbidden(target, message, processed);
  if (processed?.kind !== 'commit' || processed.isRemoved) {
    // A member whose leaf was removed may have been added again; the service says whether the person is a member.
    await target.store({ ...record, pending: undefined, needsJoin: 'anew' });
    throw new LostGroupError(convoId);
  }
  // An external commit can be for a later epoch than that of the present state, and then this commit does not end it.
  const pending = record.pending !== undefined && record.pending.epoch >= message.epoch ? record.pending : undefined;
  await target.store({ ...record, lastSeq, state: processed.nextState, pending });
  return target.emitEpoch();
}

/** @throws CommitRefusedError after it has stored the refusal; ApiError, NoResponseError. */
async function refuseForbidden(target: MessageTarget, message: MessageView, processed: ProcessedCommit): Promise<void> {
  const { context, convoId } = target;
  const reason = await checkAgainstRoster(target, message, processed);
  if (reason === undefined) return;
  const refused = { epoch: message.epoch, committerDid: processed.effect.committerDid, reason };
  await target.store({ ...target.record(), pending: undefined, refused });
  await context.emit({ kind: 'commit-refused', convoId, ...refused });
  throw new CommitRefusedError(convoId);
}

/** Undefined when the message is not valid in this state. */
async function decrypt(target: MessageTarget, { ciphertext }: MessageView): Promise<ProcessedMessage | undefined> {
  try {
    return await target.context.engine.process(target.record().state, unpad(ciphertext));
  } catch {
    return undefined;
  }
}

/** Stores state and content in one write; the content stays stored until the app has processed it. */
async function deliver(
  target: MessageTarget,
  message: MessageView,
  next: GroupRecord,
  { content, senderDid }: Pick<InboxRecord, 'content' | 'senderDid'>,
): Promise<void> {
  const { context, convoId } = target;
  const { id: messageId, seq, createdAt: receivedAt } = message;
  const inboxKey = keys.inbox(convoId, seq);
  const inbox: InboxRecord = { messageId, senderDid, content, receivedAt };
  await target.store(next, [change(inboxKey, inbox)]);
  await context.emit({ kind: 'message', convoId, seq, ...inbox });
  await context.storage.write([change(inboxKey, undefined)]);
}

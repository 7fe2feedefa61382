import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { refuseNonMember } from '#domain/membership/members/refuse-non-member.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { messageKinds } from './message.ts';
import type { Message } from './message.ts';
import { openCommit } from './store-commit.ts';
import { openProposal } from './store-proposal.ts';
import { selectPage } from './store.ts';
import type { MessageRow } from './message-row.ts';

interface ReadDeps {
  readonly sql: Sql;
  readonly privacy: Privacy;
  readonly messageTtlDays: number;
}

/** Describes the messages of a requested range that have expired, so that a client does not keep waiting for them. */
export interface MessageGap {
  /** The numbers of the newest expired messages, at most 1,000. */
  readonly missingSeqs: readonly number[];
  /** The number of messages of the requested range that are still stored. */
  readonly totalMessages: number;
}

export interface MessageList {
  readonly messages: readonly Message[];
  readonly lastSeq: number | undefined;
  readonly gap: MessageGap | undefined;
}

/**
 * Lists a page of messages and commits after `sinceSeq` and since the caller's join, in the order of `seq`. Numbers are
 * assigned without gaps, so a missing number belongs to an expired message and is listed in `gap`.
 * @throws AppError ConvoNotFound, NotMember.
 */
export async function listMessages(
  deps: ReadDeps,
  caller: Caller,
  input: { conversationId: string; sinceSeq: number | undefined; limit: number },
): Promise<MessageList> {
  const groupId = parseConversationId(input.conversationId);
  const page = await selectPage(deps.sql, {
    groupId,
    member: memberPseudonym(deps.privacy, groupId, caller.did),
    range: { sinceSeq: input.sinceSeq ?? 0 },
    limit: input.limit,
    ttlDays: deps.messageTtlDays,
  });
  const membership = refuseNonMember(page.membership);
  const messages = page.rows.map((row) => openMessage(deps.privacy, row));
  return {
    messages,
    lastSeq: messages.at(-1)?.seq ?? input.sinceSeq,
    gap: input.sinceSeq === undefined ? undefined : findGap(input.sinceSeq, messages[0]?.seq, membership),
  };
}

function findGap(
  sinceSeq: number,
  firstSeq: number | undefined,
  membership: { joinedSeq: number; lastSeq: number },
): MessageGap | undefined {
  const from = Math.max(sinceSeq + 1, membership.joinedSeq);
  const to = (firstSeq ?? membership.lastSeq + 1) - 1;
  if (to < from) return undefined;
  const count = Math.min(to - from + 1, limits.missingSeqsListedMax);
  return {
    missingSeqs: Array.from({ length: count }, (_, index) => to - count + 1 + index),
    totalMessages: membership.lastSeq - to,
  };
}

/**
 * Lists at most 100 of the commits that started the epochs `fromEpoch` to `toEpoch`. No commit started epoch 0.
 * @throws AppError ConvoNotFound, NotMember, InvalidEpochRange.
 */
export async function listCommits(
  deps: ReadDeps,
  caller: Caller,
  input: { conversationId: string; fromEpoch: number; toEpoch: number | undefined },
): Promise<Message[]> {
  const groupId = parseConversationId(input.conversationId);
  const toEpoch = input.toEpoch ?? Number.MAX_SAFE_INTEGER;
  const page = await selectPage(deps.sql, {
    groupId,
    member: memberPseudonym(deps.privacy, groupId, caller.did),
    range: { fromEpoch: input.fromEpoch, toEpoch },
    limit: limits.commitsPerPageMax,
    ttlDays: deps.messageTtlDays,
  });
  refuseNonMember(page.membership);
  if (input.fromEpoch > toEpoch) throw domainError('InvalidEpochRange');
  return page.rows.map((row) => openMessage(deps.privacy, row));
}

/** Converts a stored row to the message that members get, and unseals commits and proposals. */
export function openMessage(privacy: Privacy, row: MessageRow): Message {
  return {
    id: row.msgId,
    groupId: row.groupId,
    seq: row.seq,
    epoch: row.epoch,
    kind: row.kind === messageKinds.commit ? 'commit' : 'app',
    receivedAt: row.receivedAt,
    ciphertext: openBody(privacy, row),
  };
}

function openBody(privacy: Privacy, row: MessageRow): Buffer {
  if (row.kind === messageKinds.commit) return openCommit(privacy, row);
  return row.kind === messageKinds.proposal ? openProposal(privacy, row) : row.body;
}

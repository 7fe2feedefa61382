import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { isUuid } from '#platform/ids.ts';
import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { chatRecipient } from './chat-request.ts';
import type { ChatRequest, ChatRequestStatus } from './chat-request.ts';
import { openContent } from './sealed-request.ts';
import { selectPage } from './store.ts';
import type { PagePosition } from './store.ts';

/**
 * Lists the requests to the caller that have one status, newest first, after the position `cursor`.
 * @throws AppError InvalidCursor, also for a cursor of another status.
 */
export async function listChatRequests(
  deps: { readonly db: Db; readonly privacy: Privacy },
  caller: Caller,
  page: { status: ChatRequestStatus; limit: number; cursor: string | undefined },
): Promise<{ requests: ChatRequest[]; cursor: string | undefined }> {
  const { privacy } = deps;
  const binding = ['listChatRequests', caller.did, page.status];
  const after = page.cursor === undefined ? undefined : openCursor(privacy, binding, page.cursor);
  const recipient = chatRecipient(privacy, caller.did);
  const rows = await selectPage(deps.db, recipient, { status: page.status, after, limit: page.limit + 1 });
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  return {
    requests: shown.map(({ sealedRequest, ...row }) => ({
      ...row,
      ...openContent(privacy, row.requestId, sealedRequest),
    })),
    cursor: rows.length > shown.length && last !== undefined ? sealCursor(privacy, binding, last) : undefined,
  };
}

function sealCursor(privacy: Privacy, binding: readonly string[], { createdAt, requestId }: PagePosition): string {
  const text = `${createdAt.getTime()} ${requestId}`;
  return privacy.sealText('page-cursor', binding, text).toString('base64url');
}

function openCursor(privacy: Privacy, binding: readonly string[], cursor: string): PagePosition {
  try {
    const text = privacy.unsealText('page-cursor', binding, Buffer.from(cursor, 'base64url'));
    const [timeMs = '', requestId = ''] = text.split(' ');
    if (isUuid(requestId)) return { createdAt: new Date(Number(timeMs)), requestId };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
  }
  throw domainError('InvalidCursor');
}

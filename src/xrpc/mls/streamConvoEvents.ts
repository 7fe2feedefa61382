import { formatConversationId, parseConversationId } from '#domain/conversations/conversation.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { ResponseStreamDeps } from '#stream/server-sent-events.ts';
import { openResponseStream } from '#stream/server-sent-events.ts';
import { eventStream } from '#xrpc/endpoint.ts';
import type { EventStreamEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/streamConvoEvents.defs.ts';

export const streamConvoEvents = (
  deps: Parameters<typeof requireMember>[0] & { readonly stream: ResponseStreamDeps },
): EventStreamEndpoint =>
  eventStream({
    lexicon,
    auth: 'service-token',
    quota: 'subscribe',
    open: async ({ caller, params, lastEventId }) => {
      const groupId = params.convoId === undefined ? undefined : parseConversationId(params.convoId);
      if (groupId !== undefined) await requireMember(deps, caller, groupId);
      return openResponseStream(deps.stream, {
        did: caller.did,
        onlyConversationId: groupId && formatConversationId(groupId),
        // A client that reconnects automatically repeats its URL, so the header has the newer cursor.
        cursor: lastEventId ?? params.cursor,
      });
    },
  });

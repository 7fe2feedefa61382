import { parseConversationId, formatConversationId } from '#domain/conversations/conversation.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Ticket, Tickets } from '#stream/ticket.ts';
import { openSocketStream } from '#stream/websocket.ts';
import type { SocketDeps } from '#stream/websocket.ts';
import { subscription } from '#xrpc/endpoint.ts';
import type { SubscriptionEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/subscribeConvoEvents.defs.ts';

interface StreamDeps {
  readonly tickets: Tickets;
  readonly stream: SocketDeps;
}

export const subscribeConvoEvents = (deps: Parameters<typeof requireMember>[0] & StreamDeps): SubscriptionEndpoint =>
  subscription({
    lexicon,
    auth: 'ticket',
    quota: 'subscribe',
    admit: ({ params }): Promise<Ticket> => deps.tickets.redeem(params.ticket),
    open: async ({ admission, params }) => {
      const { caller } = admission;
      const conversationId = admission.conversationId ?? params.convoId;
      const groupId = conversationId === undefined ? undefined : parseConversationId(conversationId);
      if (groupId !== undefined) await requireMember(deps, caller, groupId);
      return openSocketStream(deps.stream, {
        did: caller.did,
        onlyConversationId: groupId && formatConversationId(groupId),
        cursor: params.cursor,
      });
    },
  });

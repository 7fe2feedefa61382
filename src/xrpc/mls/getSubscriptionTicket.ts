import { parseConversationId } from '#domain/conversations/conversation.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Tickets } from '#stream/ticket.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getSubscriptionTicket.defs.ts';

interface TicketDeps {
  readonly tickets: Tickets;
  /** The ws: or wss: URL of subscribeConvoEvents. */
  readonly subscriptionUrl: () => string;
}

export const getSubscriptionTicket = (deps: Parameters<typeof requireMember>[0] & TicketDeps): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'subscribe',
    handler: async ({ caller, input }) => {
      if (input.convoId !== undefined) await requireMember(deps, caller, parseConversationId(input.convoId));
      const { text, expiresAt } = await deps.tickets.issue({ caller, conversationId: input.convoId });
      return { ticket: text, endpoint: deps.subscriptionUrl(), expiresAt: expiresAt.toISOString() };
    },
  });

import { sendEphemeralMessage } from '#domain/messages/send-ephemeral-message.ts';
import { sendMessage as sendStoredMessage } from '#domain/messages/send-message.ts';
import { limits } from '#platform/limits.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/sendMessage.defs.ts';
import { bufferOf } from '#xrpc/input/blob-input.ts';

type SendDeps = Parameters<typeof sendStoredMessage>[0] &
  Parameters<typeof sendEphemeralMessage>[0] & { readonly byteBudget: ByteBudget };

export const sendMessage = (deps: SendDeps): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'sendMessage',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    recordsTokenUse: true,
    handler: async ({ caller, input, tokenUse }) => {
      if (input.delivery === 'ephemeral') await tokenUse?.record();
      const send = input.delivery === 'ephemeral' ? sendEphemeralMessage : sendStoredMessage;
      const { convoId: conversationId, msgId, paddedSize } = input;
      const ciphertext = bufferOf(input.ciphertext);
      const write = { conversationId, sizeBytes: ciphertext.length, by: 'member' } as const;
      const { seq, epoch, receivedAt } = await deps.byteBudget.within(caller, write, () =>
        send(deps, caller, { conversationId, msgId, epoch: input.epoch, paddedSize, ciphertext, tokenUse }),
      );
      return { messageId: input.msgId, receivedAt: receivedAt.toISOString(), seq, epoch };
    },
  });

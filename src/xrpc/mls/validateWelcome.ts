import { validateWelcome as checkWelcome } from '#domain/welcomes/validate-welcome.ts';
import { limits } from '#platform/limits.ts';
import { bufferOf } from '#xrpc/input/blob-input.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/validateWelcome.defs.ts';

export const validateWelcome = (deps: Parameters<typeof checkWelcome>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { ref, reserved } = await checkWelcome(deps, caller, bufferOf(input.welcomeMessage));
      return { valid: true, keyPackageHash: ref.toString('hex'), recipientDid: caller.did, reserved };
    },
  });

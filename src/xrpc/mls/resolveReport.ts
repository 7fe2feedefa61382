import { resolveReport as decideReport } from '#domain/reports/resolve-report.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/resolveReport.defs.ts';

export const resolveReport = (deps: Parameters<typeof decideReport>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const { reportId, action, notes } = input;
      await decideReport(deps, caller, { reportId, action, notes });
      return { ok: true };
    },
  });

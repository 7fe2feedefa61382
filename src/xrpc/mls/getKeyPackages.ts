import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { keyPackageText } from '#xrpc/response/key-package-text.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getKeyPackages.defs.ts';

/** The suite that every RFC 9420 client implements (section 17.1). */
const defaultCipherSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

export const getKeyPackages = (deps: Parameters<typeof claimKeyPackages>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const cipherSuite = params.cipherSuite ?? defaultCipherSuite;
      const { packages, missing } = await claimKeyPackages(deps, caller, { dids: params.dids, cipherSuite });
      return {
        keyPackages: packages.map(({ did, keyPackage, ref }) => ({
          did,
          keyPackage: keyPackageText(keyPackage, params.asMlsMessage),
          keyPackageHash: ref.toString('hex'),
          cipherSuite,
        })),
        missing: missing.length === 0 ? undefined : missing,
      };
    },
  });

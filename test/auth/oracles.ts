import { ServiceJwtVerifier } from '@atcute/xrpc-server/auth';
import { verifyJwt } from '@atproto/xrpc-server';
import type { DidDocumentJson, LoopbackPlc } from '../support/network/loopback-plc.ts';
import type { Oracle } from './token-case.ts';

/** Whether a reference verifier accepts a token for one of these audiences and this method. */
export type Verify = (token: string, audiences: readonly string[], lxm: string) => Promise<boolean>;

async function documentOf(plc: LoopbackPlc, did: string): Promise<DidDocumentJson> {
  const response = await fetch(`${plc.url}/${encodeURIComponent(did)}`);
  if (!response.ok) throw new Error('there is no such DID');
  const document = (await response.json()) as DidDocumentJson;
  if (document.id !== did) throw new Error('the document has another id');
  return document;
}

/** Looks up the key of `iss` as @atproto/xrpc-server does: a fragment names the key, default `atproto`. */
async function didKeyOf(plc: LoopbackPlc, issuer: string): Promise<string> {
  const [did = '', fragment = 'atproto'] = issuer.split('#');
  const { verificationMethod = [] } = await documentOf(plc, did);
  const method = verificationMethod.find(({ id }) => id === `${did}#${fragment}` || id === `#${fragment}`);
  if (method === undefined) throw new Error('there is no such key');
  return `did:key:${String(method['publicKeyMultibase'])}`;
}

/** Creates the reference verifiers, which read documents (with Multikeys) from `plc`. */
export function createOracles(plc: LoopbackPlc): Readonly<Record<Oracle, Verify>> {
  const isAccepted = (verified: Promise<unknown>): Promise<boolean> =>
    verified.then(
      () => true,
      () => false,
    );
  return {
    async atproto(token, audiences, lxm) {
      const verdicts = audiences.map((audience) =>
        isAccepted(verifyJwt(token, audience, lxm, (issuer) => didKeyOf(plc, issuer))),
      );
      return (await Promise.all(verdicts)).includes(true);
    },
    async atcute(token, audiences, lxm) {
      const verifier = new ServiceJwtVerifier({
        acceptAudiences: [...audiences] as never,
        resolver: { resolve: async (did: string) => (await documentOf(plc, did)) as never },
        replayStore: { check: () => Promise.resolve(true) },
      });
      const verify = async (): Promise<unknown> => {
        // Throws for a token that an HTTP header cannot contain.
        const headers = new Headers({ authorization: `Bearer ${token}` });
        return verifier.verifyRequest(new Request('http://localhost', { headers }), { lxm: lxm as never });
      };
      return isAccepted(verify());
    },
  };
}

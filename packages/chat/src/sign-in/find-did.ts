import { AdvisedError } from '../person/advice.ts';

/** Where handles are looked up, because browsers cannot send DNS queries. It learns which handles this browser asks for. */
export const handleResolverUrl = 'https://public.api.bsky.app';

/** The DID of a handle; a DID is returned as it is. @throws AdvisedError. */
export async function findDid(handleOrDid: string): Promise<string> {
  if (handleOrDid.startsWith('did:')) return handleOrDid;
  const handle = handleOrDid.replace(/^@/, '').toLowerCase();
  const url = `${handleResolverUrl}/xrpc/com.atproto.identity.resolveHandle?${new URLSearchParams({ handle }).toString()}`;
  const response = await fetch(url).catch(() => undefined);
  if (response?.ok !== true)
    throw new AdvisedError(`There is no account @${handle}. Check the spelling, or use the DID.`);
  const { did } = (await response.json()) as { did: string };
  return did;
}

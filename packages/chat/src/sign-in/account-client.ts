import { AdvisedError } from '../person/advice.ts';

/** `transition:generic` lets the PDS give tokens for services other than itself. */
const accountScope = 'atproto transition:generic';

/** Where handles are looked up, because browsers cannot send DNS queries. It learns which handles this browser asks for. */
export const handleResolverUrl = 'https://public.api.bsky.app';

/**
 * The OAuth client id of the account page: the URL of its metadata, or on a loopback address an id that contains them, because an
 * authorization server cannot read them there (atproto OAuth profile).
 */
export function accountClientId({ hostname, origin, port }: Pick<Location, 'hostname' | 'origin' | 'port'>): string {
  if (!['localhost', '127.0.0.1', '[::1]'].includes(hostname)) return `${origin}/chat/client-metadata.json`;
  // The profile does not allow the name localhost in a redirect URI.
  const host = hostname === 'localhost' ? '127.0.0.1' : hostname;
  const redirectUri = `http://${host}${port === '' ? '' : `:${port}`}/chat/account`;
  return `http://localhost?${new URLSearchParams({ redirect_uri: redirectUri, scope: accountScope }).toString()}`;
}

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

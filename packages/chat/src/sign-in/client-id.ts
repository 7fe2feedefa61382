/** The parts of the page's URL that the id depends on. */
interface PageAddress {
  readonly hostname: string;
  readonly origin: string;
  readonly port: string;
}

/** `transition:generic` lets the PDS give tokens for services other than itself. */
const accountScope = 'atproto transition:generic';

/**
 * The OAuth client id of the account page: the URL of its metadata, or on a loopback address an id that contains them, because an
 * authorization server cannot read them there (atproto OAuth profile).
 */
export function accountClientId({ hostname, origin, port }: PageAddress): string {
  if (!['localhost', '127.0.0.1', '[::1]'].includes(hostname)) return `${origin}/chat/client-metadata.json`;
  // The profile does not allow the name localhost in a redirect URI.
  const host = hostname === 'localhost' ? '127.0.0.1' : hostname;
  const redirectUri = `http://${host}${port === '' ? '' : `:${port}`}/chat/account`;
  return `http://localhost?${new URLSearchParams({ redirect_uri: redirectUri, scope: accountScope }).toString()}`;
}

import { BrowserOAuthClient } from '@atproto/oauth-client-browser';
import { AdvisedError } from '../person/advice.ts';
import { accountClientId } from './client-id.ts';
import { handleResolverUrl } from './find-did.ts';

/** A person who has signed in with an account of a PDS. */
export interface AccountSession {
  readonly did: string;
  /** Undefined when the PDS does not say it. */
  readonly handle: string | undefined;
  /** A service token for one call of the method with this NSID. */
  getToken(nsid: string, signal: AbortSignal): Promise<string>;
  signOut(): Promise<void>;
}

export interface AccountSessions {
  /** The session of an earlier visit, or of the sign-in from which the browser has just come back. */
  restore(): Promise<AccountSession | undefined>;
  /** Leaves this page for the authorization server of the account. @throws AdvisedError. */
  signIn(handleOrDidOrPds: string): Promise<void>;
}

/** Opens the OAuth client. @param serviceDid the service for which the PDS is asked for tokens. */
export async function openAccountSessions(serviceDid: string): Promise<AccountSessions> {
  const client = await BrowserOAuthClient.load({
    clientId: accountClientId(location),
    handleResolver: handleResolverUrl,
  });
  return {
    async restore() {
      const restored = await client.init();
      return restored === undefined ? undefined : sessionOf(restored.session, serviceDid);
    },
    async signIn(input) {
      await client.signIn(input).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new AdvisedError(
          `The sign-in could not start (${reason}). Check the handle, or type the address of your PDS.`,
        );
      });
    },
  };
}

type OAuthSession = Awaited<ReturnType<BrowserOAuthClient['restore']>>;

async function sessionOf(session: OAuthSession, serviceDid: string): Promise<AccountSession> {
  const { did } = session;
  const described = await callPds<{ handle: string }>(session, 'com.atproto.repo.describeRepo', { repo: did }).catch(
    () => undefined,
  );
  return {
    did,
    handle: described?.handle,
    async getToken(nsid, signal) {
      const search = { aud: serviceDid, lxm: nsid };
      const { token } = await callPds<{ token: string }>(session, 'com.atproto.server.getServiceAuth', search, signal);
      return token;
    },
    signOut: () => session.signOut(),
  };
}

async function callPds<Result>(
  session: OAuthSession,
  nsid: string,
  search: Readonly<Record<string, string>>,
  signal: AbortSignal | null = null,
): Promise<Result> {
  const response = await session.fetchHandler(`/xrpc/${nsid}?${new URLSearchParams(search).toString()}`, { signal });
  // The lexicon of the method has this output.
  if (response.ok) return (await response.json()) as Result;
  throw new AdvisedError(`Your PDS refused ${nsid} (status ${response.status}). Sign out and sign in again.`);
}

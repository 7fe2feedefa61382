import type { Page, Route } from 'playwright-core';

export const pds = 'https://pds.test';
const server = 'https://authorization.test';
const requestUri = 'urn:ietf:params:oauth:request_uri:req-1';

/** An entry of `/dev/people`. */
export interface DevelopmentPerson {
  readonly name: string;
  readonly did: string;
  readonly handle: string;
}

/** The account that the authorization server signs in, and all accounts that have a handle and a DID document. */
interface Accounts {
  readonly account: DevelopmentPerson;
  readonly all: readonly DevelopmentPerson[];
  /** The service, which signs tokens as the PDS would. */
  readonly url: string;
}

/** What the page has asked for. */
interface AccountCalls {
  readonly pushed: URLSearchParams[];
  readonly authorized: URL[];
  readonly tokens: { readonly aud: string | null; readonly lxm: string | null }[];
}

/**
 * Plays the servers of an account for one page, because the tests reach no other hosts: the PDS, its authorization server, the did:plc
 * directory and the service that resolves handles. Without accounts, the sign-in ends at the page for the password.
 */
export async function playAccountServers(page: Page, accounts?: Accounts): Promise<AccountCalls> {
  const calls: AccountCalls = { pushed: [], authorized: [], tokens: [] };
  await page.route(`${pds}/**`, (route) => answerPds(route, accounts, calls));
  await page.route(`${server}/**`, (route) => answerAuthorization(route, accounts, calls));
  await page.route('https://plc.directory/**', (route) => {
    const found = accounts?.all.find(({ did }) => decodeURIComponent(route.request().url()).endsWith(did));
    return found === undefined ? json(route, {}, 404) : json(route, documentOf(found));
  });
  await page.route('https://public.api.bsky.app/**', (route) => {
    const handle = new URL(route.request().url()).searchParams.get('handle');
    const found = accounts?.all.find((each) => each.handle === handle);
    return found === undefined ? json(route, {}, 400) : json(route, { did: found.did });
  });
  return calls;
}

function json(route: Route, body: object, status = 200): Promise<void> {
  const headers = {
    'access-control-allow-origin': '*',
    'access-control-allow-headers': 'authorization, content-type, dpop',
    'access-control-allow-methods': 'GET, POST',
  };
  return route.fulfill({ status, json: body, headers });
}

async function answerPds(route: Route, accounts: Accounts | undefined, { tokens }: AccountCalls): Promise<void> {
  const { pathname, searchParams } = new URL(route.request().url());
  if (pathname === '/.well-known/oauth-protected-resource') {
    return json(route, { resource: pds, authorization_servers: [server] });
  }
  if (route.request().method() === 'OPTIONS' || accounts === undefined) return json(route, {});
  const { account, url } = accounts;
  if (pathname === '/xrpc/com.atproto.repo.describeRepo') return json(route, { handle: account.handle });
  const [aud, lxm] = [searchParams.get('aud'), searchParams.get('lxm')];
  tokens.push({ aud, lxm });
  const response = await fetch(`${url}/dev/token?as=${account.name}&lxm=${lxm}`);
  return json(route, (await response.json()) as object, response.status);
}

async function answerAuthorization(
  route: Route,
  accounts: Accounts | undefined,
  { pushed, authorized }: AccountCalls,
): Promise<void> {
  const request = route.request();
  if (request.method() === 'OPTIONS') return json(route, {});
  switch (new URL(request.url()).pathname) {
    case '/.well-known/oauth-authorization-server':
      return json(route, metadata);
    case '/oauth/par':
      pushed.push(new URLSearchParams(request.postData() ?? ''));
      return json(route, { request_uri: requestUri, expires_in: 300 }, 201);
    case '/oauth/authorize': {
      authorized.push(new URL(request.url()));
      if (accounts === undefined) return route.fulfill({ body: 'the page of the authorization server' });
      const { state = '', redirect_uri = '' } = Object.fromEntries(pushed.at(-1) ?? []);
      const fragment = new URLSearchParams({ state, iss: server, code: 'code-1' }).toString();
      return route.fulfill({ status: 302, headers: { location: `${redirect_uri}#${fragment}` } });
    }
    case '/oauth/token':
      return json(route, {
        access_token: 'access-1',
        token_type: 'DPoP',
        expires_in: 3_600,
        refresh_token: 'refresh-1',
        scope: 'atproto transition:generic',
        sub: accounts?.account.did,
      });
    default:
      return json(route, {});
  }
}

const metadata = {
  issuer: server,
  authorization_endpoint: `${server}/oauth/authorize`,
  token_endpoint: `${server}/oauth/token`,
  revocation_endpoint: `${server}/oauth/revoke`,
  pushed_authorization_request_endpoint: `${server}/oauth/par`,
  require_pushed_authorization_requests: true,
  scopes_supported: ['atproto', 'transition:generic'],
  response_types_supported: ['code'],
  response_modes_supported: ['query', 'fragment'],
  grant_types_supported: ['authorization_code', 'refresh_token'],
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
  token_endpoint_auth_signing_alg_values_supported: ['ES256'],
  dpop_signing_alg_values_supported: ['ES256'],
  authorization_response_iss_parameter_supported: true,
  client_id_metadata_document_supported: true,
};

function documentOf({ did, handle }: DevelopmentPerson): object {
  return {
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
  };
}

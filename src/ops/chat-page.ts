import type { Context, Hono } from 'hono';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { buildChatPage, readChatFiles } from './chat-files.ts';
import type { ChatFile, ChatFiles } from './chat-files.ts';

export interface ChatPageParts {
  readonly config: Pick<Config, 'CHAT_PAGE' | 'NODE_ENV'>;
  readonly clock: Clock;
  readonly serviceDid: string;
  /** The URL under which clients reach the service, without a path. */
  readonly publicUrl: string;
}

const buildWaitMs = 60_000;

/** `connect` are the sources to which the page may connect. */
const policyOf = (connect: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');

/** A person who signs in may have an account on any host, whose servers the page then calls. */
const policies = { people: policyOf("'self'"), account: policyOf("'self' https:") } as const;

const metadataPath = '/chat/client-metadata.json';

/** Returns whether the server has the chat page: in development, or where the operator has switched it on. */
export function hasChatPage({ CHAT_PAGE, NODE_ENV }: ChatPageParts['config']): boolean {
  return CHAT_PAGE ?? NODE_ENV === 'development';
}

/** Mounts the chat page at `/chat`, if this server has it. Outside production it is built when it is first needed. */
export function mountChatPage(app: Hono, parts: ChatPageParts): void {
  if (!hasChatPage(parts.config)) return;
  const { serviceDid, publicUrl } = parts;
  const files = openFiles(parts);
  const page = (name: string, policy: string) => async (c: Context) => {
    const file = (await files())?.get(name);
    if (file === undefined) return notBuilt(c);
    c.header('Content-Security-Policy', policy);
    c.header('Cross-Origin-Opener-Policy', 'same-origin');
    return respond(c, file);
  };
  app.get('/chat', page('index.html', policies.people));
  app.get('/chat/', (c) => c.redirect('/chat', 308));
  app.get('/chat/account', page('account.html', policies.account));
  app.get('/chat/service.json', (c) => c.json({ serviceDid }));
  app.get('/chat/assets/:name', async (c) => {
    const file = (await files())?.get(`assets/${c.req.param('name')}`);
    if (file === undefined) return c.notFound();
    // The name of an asset contains a hash of its content.
    c.header('Cache-Control', 'public, max-age=31536000, immutable');
    return respond(c, file);
  });
  if (publicUrl.startsWith('https:')) app.get(metadataPath, (c) => c.json(clientMetadata(publicUrl)));
}

/** Reads the files once, after a build where this server may build. */
function openFiles({ config, clock }: ChatPageParts): () => Promise<ChatFiles | undefined> {
  let files: ChatFiles | undefined;
  return async () => {
    if (files !== undefined) return files;
    if (config.NODE_ENV !== 'production') await buildWithin(clock);
    files = await readChatFiles();
    return files;
  };
}

/** Waits for the build, up to a limit. */
async function buildWithin(clock: Clock): Promise<void> {
  const waiting = new AbortController();
  const limit = clock.sleep(buildWaitMs, waiting.signal).catch(() => undefined);
  await Promise.race([buildChatPage(), limit]);
  waiting.abort();
}

function respond(c: Context, { body, type }: ChatFile): Response {
  return c.body(body, 200, { 'Content-Type': type });
}

function notBuilt(c: Context): Response {
  return c.text('The chat page is not built. Run: npm run build -w @nightjar/chat\nThen load this page again.\n', 503);
}

/** What an authorization server reads about this page (atproto OAuth profile); on a loopback address no server reads it. */
function clientMetadata(publicUrl: string): object {
  return {
    client_id: `${publicUrl}${metadataPath}`,
    client_name: 'Nightjar chat',
    client_uri: publicUrl,
    redirect_uris: [`${publicUrl}/chat/account`],
    scope: 'atproto transition:generic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'web',
    dpop_bound_access_tokens: true,
  };
}

import { createHash } from 'node:crypto';
import type { Hono } from 'hono';
import { accepts } from 'hono/accepts';

const paths = {
  docs: '/docs',
  api: '/docs/api',
  openapi: '/openapi.json',
  lexicons: '/lexicons',
  health: '/xrpc/_health',
} as const;
const chatPath = '/chat';

const about = 'A delivery service for end-to-end encrypted messengers on AT Protocol, by MLS (RFC 9420).';
const style =
  'body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}code{font-size:.95em}';
const styleHash = createHash('sha256').update(style).digest('base64');

/** Allows only the style of this page, which the policy names by hash. */
const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'`;

/**
 * Mounts `GET /`, which returns the name, the version, and where the API is described. Browsers get a page, and other
 * clients get JSON. Both name the chat page if this server has it.
 */
export function mountRootPage(app: Hono, { version, hasChat }: { version: string; hasChat: boolean }): void {
  const facts = { name: 'Nightjar', version, about, ...paths, ...(hasChat ? { chat: chatPath } : {}) };
  const page = pageOf(version, hasChat);
  app.get('/', (c) => {
    const type = accepts(c, {
      header: 'Accept',
      supports: ['text/html', 'application/json'],
      default: 'application/json',
    });
    return type === 'text/html' ? c.html(page, 200, { 'Content-Security-Policy': policy }) : c.json(facts);
  });
}

function pageOf(version: string, hasChat: boolean): string {
  const chat = hasChat ? `\n<li><a href="${chatPath}"><code>${chatPath}</code></a> is a chat in the browser.` : '';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Nightjar</title>
<style>${style}</style>
<h1>Nightjar ${version}</h1>
<p>${about}
<p>This address is for programs: clients call its methods below <code>/xrpc/</code>.
<ul>
<li><a href="${paths.docs}"><code>${paths.docs}</code></a> has the guides.
<li><a href="${paths.api}"><code>${paths.api}</code></a> has a page for every method, with examples.
<li><a href="${paths.openapi}"><code>${paths.openapi}</code></a> describes every method for programs (OpenAPI 3.1).
<li><a href="${paths.lexicons}"><code>${paths.lexicons}</code></a> lists the lexicons.
<li><a href="${paths.health}"><code>${paths.health}</code></a> answers with the version while the service runs.${chat}
</ul>
`;
}

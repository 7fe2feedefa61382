import { Hono } from 'hono';
import { mountDocumentation } from '#documentation/mount-documentation.ts';
import type { Development } from '#development/open-development.ts';
import { mountChatPage } from '#ops/chat-page.ts';
import type { ChatPageParts } from '#ops/chat-page.ts';
import { mountDidDocument } from '#ops/did-document.ts';
import { mountHealth } from '#ops/health.ts';
import type { Readiness } from '#ops/readiness.ts';
import { mountRootPage } from '#ops/root-page.ts';

interface HttpPageParts extends ChatPageParts {
  readonly version: string;
  readonly readiness: Readiness;
  /** Undefined when there are no development identities, as in production. */
  readonly development: Development | undefined;
}

/** Mounts every page that is not an XRPC method. */
export function mountHttpPages(parts: HttpPageParts): Hono {
  const { version, readiness, serviceDid, publicUrl, development } = parts;
  const http = new Hono();
  mountHealth(http, { version, readiness });
  mountDidDocument(http, { serviceDid, publicUrl });
  mountRootPage(http, version);
  mountChatPage(http, parts);
  mountDocumentation(http);
  development?.mountPages(http, { serviceDid });
  return http;
}

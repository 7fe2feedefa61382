import { Hono } from 'hono';
import { mountDocumentation } from '#documentation/mount-documentation.ts';
import { mountDidDocument } from '#ops/did-document.ts';
import { mountHealth } from '#ops/health.ts';
import type { Readiness } from '#ops/readiness.ts';
import { mountRootPage } from '#ops/root-page.ts';

interface HttpPageParts {
  readonly version: string;
  readonly readiness: Readiness;
  readonly serviceDid: string;
  /** The URL under which clients reach the service, without a path. */
  readonly publicUrl: string;
}

/** Mounts every page that is not an XRPC method. */
export function mountHttpPages({ version, readiness, serviceDid, publicUrl }: HttpPageParts): Hono {
  const http = new Hono();
  mountHealth(http, { version, readiness });
  mountDidDocument(http, { serviceDid, publicUrl });
  mountRootPage(http, version);
  mountDocumentation(http);
  return http;
}

import { createHash } from 'node:crypto';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context, Hono } from 'hono';
import { etag } from 'hono/etag';
import { raw } from 'hono/html';
import { readDocuments } from './documents.ts';
import type { Documents, Page } from './documents.ts';
import { contentOf, filesBelow } from './files.ts';
import type { ServedFile } from './files.ts';
import { framePage, iconUrl, pagePolicy, searchLengthMax, searchUrl, styleUrl } from './page-frame.ts';
import { renderMarkdown } from './render-markdown.ts';
import { createSearch, searchResults } from './search-pages.ts';

const ownFolder = fileURLToPath(new URL('.', import.meta.url));
const ownProject = fileURLToPath(new URL('../..', import.meta.url));
const cached = { 'Cache-Control': 'public, max-age=300' };
const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
};

/** The documents of a project, and what was made of them so far. */
interface Library {
  readonly documents: Documents;
  readonly search: (query: string) => readonly Page[];
  /** HTML by address; at most one for each page. */
  readonly rendered: Map<string, RenderedPage>;
}

interface RenderedPage {
  readonly html: string;
  readonly tag: string;
}

/**
 * Mounts the pages under `/docs`, `/openapi.json`, and the lexicons under `/lexicons`. Files are listed and read when
 * they are first requested, and changes show after a restart. What `projectFolder` does not have is not found.
 */
export function mountDocumentation(app: Hono, projectFolder = ownProject): void {
  for (const path of ['/docs', '/docs/*', '/openapi.json', '/lexicons', '/lexicons/*']) app.use(path, etag());
  const openApi = { path: 'docs/openapi.json', location: join(projectFolder, 'docs/openapi.json') };
  app.get('/openapi.json', (c) => sendFile(c, openApi));
  app.get(styleUrl, (c) => sendFile(c, ownFile('style.css')));
  app.get(iconUrl, (c) => sendFile(c, ownFile('icon.svg')));
  mountPages(
    app,
    once(() => openLibrary(projectFolder)),
  );
  mountLexicons(
    app,
    once(() => listLexicons(projectFolder)),
  );
}

function ownFile(name: string): ServedFile {
  return { path: name, location: join(ownFolder, name) };
}

async function openLibrary(projectFolder: string): Promise<Library> {
  const documents = await readDocuments(projectFolder);
  return { documents, search: createSearch(documents.pages), rendered: new Map() };
}

function mountPages(app: Hono, library: () => Promise<Library>): void {
  app.get(searchUrl, async (c) => {
    const { documents, search } = await library();
    if (documents.pages.length === 0) return c.notFound();
    const query = (c.req.query('q') ?? '').slice(0, searchLengthMax);
    const content = searchResults(query, search(query));
    const frame = { title: 'Search', url: searchUrl, content, pages: documents.pages, query };
    return c.html(await framePage(frame), 200, { 'Content-Security-Policy': pagePolicy });
  });
  app.on('GET', ['/docs', '/docs/*'], async (c) => {
    const { documents, rendered } = await library();
    const url = new URL(c.req.url).pathname.replace(/\/$/, '');
    const document = documents.byUrl.get(url);
    if (document === undefined) return c.notFound();
    if (!isPage(document)) return sendFile(c, document);
    const page = rendered.get(url) ?? (await renderPage(document, documents));
    rendered.set(url, page);
    return c.html(page.html, 200, { ...cached, 'Content-Security-Policy': pagePolicy, ETag: page.tag });
  });
}

function isPage(document: ServedFile): document is Page {
  return 'markdown' in document;
}

async function renderPage(page: Page, documents: Documents): Promise<RenderedPage> {
  const content = raw(renderMarkdown(page, documents));
  const html = await framePage({ title: page.title, url: page.url, content, pages: documents.pages });
  return { html, tag: tagOf(html) };
}

/** An ETag of our own, because that of the middleware would read each response once more. */
function tagOf(content: string | Uint8Array): string {
  return `"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`;
}

/** Lists the lexicons by their id, which is their path below `lexicons`. */
async function listLexicons(projectFolder: string): Promise<ReadonlyMap<string, ServedFile>> {
  const files = await filesBelow(projectFolder, 'lexicons');
  const named = files
    .filter(({ path }) => extname(path) === '.json')
    .map((file) => [file.path.slice('lexicons/'.length, -'.json'.length).replaceAll('/', '.'), file] as const);
  return new Map(named.toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

function mountLexicons(app: Hono, lexicons: () => Promise<ReadonlyMap<string, ServedFile>>): void {
  app.get('/lexicons', async (c) => {
    const ids = [...(await lexicons()).keys()];
    if (ids.length === 0) return c.notFound();
    return c.json({ lexicons: ids.map((id) => ({ id, url: `/lexicons/${id}.json` })) }, 200, cached);
  });
  app.get('/lexicons/:file', async (c) => {
    const file = (await lexicons()).get(c.req.param('file').replace(/[.]json$/, ''));
    return file === undefined || !c.req.path.endsWith('.json') ? c.notFound() : sendFile(c, file);
  });
}

async function sendFile(c: Context, file: ServedFile): Promise<Response> {
  const content = await contentOf(file);
  if (content === undefined) return c.notFound();
  const type = types[extname(file.path)] ?? 'text/plain; charset=utf-8';
  return c.body(new Uint8Array(content), 200, { ...cached, 'Content-Type': type, ETag: tagOf(content) });
}

/** Calls `read` once, and again only if it failed. */
function once<Result>(read: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => {
    result ??= read().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}

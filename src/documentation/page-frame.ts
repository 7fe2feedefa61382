import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import type { Page } from './documents.ts';
import { groupPages } from './page-groups.ts';
import type { PageGroup } from './page-groups.ts';

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

// Addresses that belong to no file of `docs`.
export const styleUrl = '/docs/style.css';
export const iconUrl = '/docs/icon.svg';
export const searchUrl = '/docs/search';
/** The longest text that can be searched for. */
export const searchLengthMax = 100;

/** Allows the style sheet, the images and the search of the same origin, and no script. */
export const pagePolicy =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

interface FramedPage {
  readonly title: string;
  /** The address of the page, which the list of pages marks. */
  readonly url: string;
  /** HTML that was made from Markdown, or escaped. */
  readonly content: Html;
  readonly pages: readonly Page[];
  /** The text that was searched for. */
  readonly query?: string;
}

/** Returns a whole HTML page: a head with a search, the content, and a list of all pages. */
export async function framePage({ title, url, content, pages, query = '' }: FramedPage): Promise<string> {
  const groups = groupPages(pages);
  const current = groups.find((group) => group.pages.some((page) => page.url === url)) ?? groups[0];
  const name = title === 'Nightjar' ? title : `${title} · Nightjar`;
  return String(
    await html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${name}</title>
          <link rel="stylesheet" href="${styleUrl}" />
          <link rel="icon" href="${iconUrl}" type="image/svg+xml" />
        </head>
        <body>
          <a class="skip" href="#content">To the text</a>
          <header>
            <a class="name" href="/docs">Nightjar</a>
            <a class="to-pages" href="#pages">Pages</a>
            <form action="${searchUrl}" role="search">
              <label for="q">Search the pages</label>
              <input
                id="q"
                name="q"
                type="search"
                maxlength="${searchLengthMax}"
                value="${query}"
                placeholder="sendMessage"
              />
              <button>Search</button>
            </form>
          </header>
          <main id="content" tabindex="-1">${content}</main>
          <nav id="pages" aria-label="Pages">
            ${linkList(
              pages.filter((page) => page.url === '/docs'),
              url,
            )}
            ${groups.map((group) => groupList(group, { isOpen: group === current, url }))}
            <p><a href="/openapi.json">OpenAPI document</a><br /><a href="/lexicons">Lexicons</a></p>
          </nav>
        </body>
      </html> `,
  );
}

function groupList({ name, pages }: PageGroup, { isOpen, url }: { isOpen: boolean; url: string }): Html {
  return html`<details ${raw(isOpen ? 'open' : '')}>
    <summary>${name}</summary>
    ${linkList(pages, url)}
  </details>`;
}

function linkList(pages: readonly Page[], currentUrl: string): Html {
  return html`<ul>
    ${pages.map(
      ({ url, title }) =>
        html`<li><a href="${url}" ${raw(url === currentUrl ? 'aria-current="page"' : '')}>${title}</a></li>`,
    )}
  </ul>`;
}

import { posix } from 'node:path';
import { escapeToBuffer } from 'hono/utils/html';
import { Marked, Renderer } from 'marked';
import type { Tokens } from 'marked';
import type { Documents, Page } from './documents.ts';

/**
 * Returns the HTML of a page. Links to other pages lead to their addresses, links to files that are not served become
 * text, and headings have the ids that links in the repository use.
 */
export function renderMarkdown(page: Page, documents: Documents): string {
  const renderer = new PageRenderer((href) => addressOf(href, page.path, documents));
  return new Marked().parse(page.markdown, { async: false, gfm: true, renderer });
}

class PageRenderer extends Renderer {
  readonly #slugs = new Map<string, number>();
  readonly #addressOf: (href: string) => string | undefined;

  /** @param addressOf says where a link leads, or undefined if it leads to nothing that is served. */
  constructor(addressOf: (href: string) => string | undefined) {
    super();
    this.#addressOf = addressOf;
  }

  override heading({ tokens, depth }: Tokens.Heading): string {
    const text = this.parser.parseInline(tokens, this.parser.textRenderer);
    return `<h${depth} id="${uniqueSlug(this.#slugs, text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
  }

  override link({ href, tokens }: Tokens.Link): string {
    const inner = this.parser.parseInline(tokens);
    const address = this.#addressOf(href);
    return address === undefined ? inner : `<a href="${escaped(address)}">${inner}</a>`;
  }

  override image({ href, text }: Tokens.Image): string {
    const address = this.#addressOf(href);
    if (address?.startsWith('/docs/') !== true) return escaped(text);
    return `<img src="${escaped(address)}" alt="${escaped(text)}" loading="lazy">`;
  }

  /** The pages have no HTML besides comments for generators. */
  override html({ text }: Tokens.HTML | Tokens.Tag): string {
    return text.trimStart().startsWith('<!--') ? '' : escaped(text);
  }

  /** Wide content scrolls by itself, also by keyboard. */
  override table(token: Tokens.Table): string {
    return `<div class="wide" tabindex="0" role="group" aria-label="Table">${super.table(token)}</div>\n`;
  }

  override code({ text, lang = '' }: Tokens.Code): string {
    const language = /^\w+$/.test(lang) ? ` class="language-${lang}"` : '';
    return `<pre tabindex="0"><code${language}>${escaped(text)}\n</code></pre>\n`;
  }
}

function addressOf(href: string, from: string, documents: Documents): string | undefined {
  if (/^https?:\/\//.test(href) || href.startsWith('#')) return href;
  const [target = '', fragment] = href.split('#');
  const path = posix.normalize(posix.join(posix.dirname(from), target));
  const found = documents.byPath.get(path);
  return found === undefined ? undefined : `${found.url}${fragment === undefined ? '' : `#${fragment}`}`;
}

/** Makes the id of a heading as GitHub does: letters, digits, hyphens and underscores, with a number when it repeats. */
function uniqueSlug(slugs: Map<string, number>, text: string): string {
  const slug = text
    .replaceAll(/&(?:amp|lt|gt|quot|#39);/g, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
  const count = slugs.get(slug) ?? 0;
  slugs.set(slug, count + 1);
  return count === 0 ? slug : `${slug}-${count}`;
}

function escaped(text: string): string {
  const buffer: [string] = [''];
  escapeToBuffer(text, buffer);
  return buffer[0];
}

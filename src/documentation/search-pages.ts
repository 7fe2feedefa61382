import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import type { Page } from './documents.ts';
import { searchLengthMax } from './page-frame.ts';

const resultsMax = 30;

/** Finds pages whose text has every word of a query: first those with a word in their title, and decisions last. */
export function createSearch(pages: readonly Page[]): (query: string) => readonly Page[] {
  const entries = pages.map((page) => ({
    page,
    title: page.title.toLowerCase(),
    text: page.markdown.toLowerCase(),
  }));
  return (query) => {
    const words = query.slice(0, searchLengthMax).toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return [];
    const found = entries.filter(({ text }) => words.every((word) => text.includes(word)));
    const isTitled = (title: string): boolean => words.some((word) => title.includes(word));
    const rank = ({ title, page }: (typeof entries)[number]): number =>
      (page.path.startsWith('docs/decisions/') ? 2 : 0) + (isTitled(title) ? 0 : 1);
    return found
      .toSorted((left, right) => rank(left) - rank(right))
      .slice(0, resultsMax)
      .map(({ page }) => page);
  };
}

/** Returns the HTML of the results. */
export function searchResults(query: string, found: readonly Page[]): HtmlEscapedString | Promise<HtmlEscapedString> {
  return html`<h1>Search</h1>
    <p>${summaryOf(query, found.length)}</p>
    <ul class="results">
      ${found.map(
        ({ url, title, summary }) =>
          html`<li>
            <a href="${url}">${title}</a>
            <p>${summary}</p>
          </li>`,
      )}
    </ul>`;
}

function summaryOf(query: string, count: number): string {
  if (query.trim() === '') return 'Write a word, such as the name of a method, and search again.';
  return count === resultsMax ? `The first ${resultsMax} pages with “${query}”.` : `Pages with “${query}”: ${count}.`;
}

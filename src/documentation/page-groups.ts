import { posix } from 'node:path';
import type { Page } from './documents.ts';

/** Pages that are listed below one name. */
export interface PageGroup {
  readonly name: string;
  readonly pages: readonly Page[];
}

/** Fewer links than this make no list of pages of a section. */
const groupSizeMin = 3;
const readmePath = 'README.md';

/**
 * Groups the pages as the README lists them: by its sections, in their order. The pages of a folder follow the section
 * that names the folder's own README. Pages that no section lists, and other folders, come last.
 */
export function groupPages(pages: readonly Page[]): PageGroup[] {
  const sections = sectionsOf(pages.find(({ path }) => path === readmePath)?.markdown ?? '');
  const listed = new Set([readmePath]);
  const pagesAt = (paths: readonly string[]): Page[] => {
    const unlisted = paths.filter((path) => !listed.has(path));
    for (const path of unlisted) listed.add(path);
    return unlisted.flatMap((path) => pages.find((page) => page.path === path) ?? []);
  };
  const inFolder = (folder: string): string[] => {
    const paths = pages.map(({ path }) => path).filter((path) => posix.dirname(path) === folder);
    const isReadme = (path: string): boolean => path.endsWith('/README.md');
    return [...paths.filter(isReadme), ...paths.filter((path) => !isReadme(path))];
  };
  const folderGroup = (folder: string): PageGroup => {
    const found = pagesAt(inFolder(folder));
    const readme = found.find(({ path }) => path.endsWith('/README.md'));
    return { name: readme?.title ?? capitalized(posix.basename(folder)), pages: found };
  };
  const fromReadme = sections.flatMap(({ name, links }) => {
    const folders = links.filter((path) => path.endsWith('/README.md')).map((path) => posix.dirname(path));
    return [
      { name, pages: pagesAt(links.filter((path) => !path.endsWith('/README.md'))) },
      ...folders.map(folderGroup),
    ];
  });
  const others = { name: 'Other pages', pages: pagesAt(inFolder('docs')) };
  const rest = [...new Set(pages.map(({ path }) => posix.dirname(path)))].filter((folder) => folder !== '.').toSorted();
  return [...fromReadme, others, ...rest.map(folderGroup)].filter((group) => group.pages.length > 0);
}

/** Returns the sections of the README that list pages of `docs`, with the paths of these pages. */
function sectionsOf(readme: string): { readonly name: string; readonly links: readonly string[] }[] {
  return readme
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      name: section.split('\n')[0] ?? '',
      links: [
        ...new Set([...section.matchAll(/\]\((docs\/[\w./-]+[.]md)(?:#[\w-]*)?\)/g)].map(([, path = '']) => path)),
      ],
    }))
    .filter(({ links }) => links.length >= groupSizeMin);
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

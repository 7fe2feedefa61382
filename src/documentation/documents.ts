import { dirname, extname, posix } from 'node:path';
import { contentOf, filesBelow } from './files.ts';
import type { ServedFile } from './files.ts';

/** A file of the documentation, under its address. */
export interface Document extends ServedFile {
  /** The address, such as `/docs/api/sendMessage`. */
  readonly url: string;
  readonly kind: 'page' | 'file';
}

/** A page of Markdown with what lists and searches need. */
export interface Page extends Document {
  readonly kind: 'page';
  /** The text of the first heading. */
  readonly title: string;
  /** The first paragraph, without Markdown. */
  readonly summary: string;
  readonly markdown: string;
}

/** All documents by address, and by path in the project. */
export interface Documents {
  readonly byUrl: ReadonlyMap<string, Document>;
  readonly byPath: ReadonlyMap<string, Document>;
  /** The pages in the order of their titles. */
  readonly pages: readonly Page[];
}

/** Reads `README.md` and the files below `docs`. The documents are empty if there is no such folder. */
export async function readDocuments(projectFolder: string): Promise<Documents> {
  const below = await filesBelow(projectFolder, 'docs');
  const readme: ServedFile = { path: 'README.md', location: posix.join(projectFolder, 'README.md') };
  const files = below.length === 0 ? [] : [readme, ...below];
  const documents = await Promise.all(files.map((file) => documentOf(file)));
  const isPage = (document: Document): document is Page => document.kind === 'page';
  return {
    byUrl: new Map(documents.map((document) => [document.url, document])),
    byPath: new Map(documents.map((document) => [document.path, document])),
    pages: documents.filter(isPage).toSorted((left, right) => left.title.localeCompare(right.title, 'en')),
  };
}

async function documentOf(file: ServedFile): Promise<Document> {
  if (extname(file.path) !== '.md') return { ...file, url: `/${file.path}`, kind: 'file' };
  const markdown = (await contentOf(file))?.toString('utf8') ?? '';
  const page: Page = {
    ...file,
    url: urlOf(file.path),
    kind: 'page',
    title: plain(/^# (.+)$/m.exec(markdown)?.[1] ?? file.path),
    summary: plain(summaryIn(markdown)),
    markdown,
  };
  return page;
}

/** `docs/tokens.md` is `/docs/tokens`, and the README of a folder has the address of the folder. */
function urlOf(path: string): string {
  if (path === 'README.md') return '/docs';
  const folder = dirname(path);
  return path.endsWith('/README.md') && folder !== 'docs' ? `/${folder}` : `/${path.slice(0, -'.md'.length)}`;
}

/** Returns the first paragraph that says what the page is about. */
function summaryIn(markdown: string): string {
  const paragraphs = markdown.split(/\n{2,}/).map((text) => text.trim());
  return paragraphs.find((text) => /^[A-Za-z`[_*]/.test(text) && !text.startsWith('Written by ')) ?? '';
}

/** Removes links, code marks and line breaks. */
function plain(markdown: string): string {
  return markdown
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/`|\*\*/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { neverSent } from '../contract/never-sent.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');
const page = await read('docs/client-states.md');

interface Lexicon {
  readonly defs: Readonly<Record<string, { readonly errors?: readonly { readonly name: string }[] }>>;
}
const lexiconOf = async (name: string): Promise<Lexicon> =>
  JSON.parse(await read(`lexicons/blue/catbird/mls/${name}.json`)) as Lexicon;

/** Further operations of conversations, which other clients may need. */
const others = [
  'getCommits',
  'getPendingDeviceAdditions',
  'invalidateWelcome',
  'readdition',
  'rejoin',
  'streamConvoEvents',
  'subscribeConvoEvents',
  'updateCursor',
];

/** Methods that the conversations of @nightjar/client call. */
async function calledMethods(): Promise<string[]> {
  const folder = 'packages/client/src/conversation/';
  const files = await readdir(new URL(folder, root));
  const sources = await Promise.all(files.map((file) => read(folder + file)));
  const calls = sources.join('\n').matchAll(/(?:\bcall\(\s*|entriesOf\(\w+, |\bname: )'(\w+)'/g);
  return [...new Set([...calls].map(([, name = '']) => name))];
}

/** Rows of the table below this heading, as cells. */
function rowsBelow(text: string, heading: string): string[][] {
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) => line.split('|').map((cell) => cell.trim()));
}

const codes = (cell = ''): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
const inFirstColumn = (text: string, heading: string): string[] =>
  rowsBelow(text, heading).flatMap(([, first]) => codes(first));

async function missingEvents(text: string): Promise<string[]> {
  const { defs } = await lexiconOf('subscribeConvoEvents');
  const shown = inFirstColumn(text, 'What does a client do on an event?');
  return Object.keys(defs).filter((name) => name.endsWith('Event') && !shown.includes(name));
}

async function declaredErrors(): Promise<Map<string, string[]>> {
  const methodsByError = new Map<string, string[]>();
  for (const method of [...(await calledMethods()), ...others]) {
    const { defs } = await lexiconOf(method);
    for (const { name } of defs['main']?.errors ?? []) {
      methodsByError.set(name, [...(methodsByError.get(name) ?? []), method]);
    }
  }
  return methodsByError;
}

async function missingErrors(text: string): Promise<string[]> {
  const shown = inFirstColumn(text, 'What does a client do on an error?');
  return [...(await declaredErrors()).keys()].filter((name) => !shown.includes(name));
}

/** Functions in the last column that are not in their file. */
async function lostFunctions(text: string): Promise<string[]> {
  const places = [...text.matchAll(/`([\w/-]+\.ts)`: `(\w+)`/g)];
  const lost = [];
  for (const [place, file = '', name = ''] of places) {
    const source = await read(`packages/client/src/${file}`).catch(() => '');
    if (!new RegExp(`(?:function\\*?|async|async \\*|const|class) ?#?${name}\\b|^  #?${name}\\(`, 'm').test(source))
      lost.push(place);
  }
  return lost;
}

test('the page about states has a row for each event of the stream', async () => {
  expect(await missingEvents(page)).toEqual([]);
  expect(await missingEvents(page.replace('| `newDeviceEvent`', '| '))).toEqual(['newDeviceEvent']);
});

test('the page about states has a row for each declared error of an operation on conversations', async () => {
  const called = await calledMethods();
  expect(called).toEqual(expect.arrayContaining(['sendMessage', 'getConvos', 'processExternalCommit', 'commit']));
  expect(await missingErrors(page)).toEqual([]);
  expect(await missingErrors(page.replace('`NotClaimed`', '`NotClaimedX`'))).toEqual(['NotClaimed']);
});

test('the row about errors that this service does not send is right', async () => {
  const rows = rowsBelow(page, 'What does a client do on an error?');
  const [, names] = rows.find((row) => row[2]?.startsWith('declared for other servers')) ?? [];
  const unsent = [...(await declaredErrors())].filter(([name, methods]) =>
    methods.every((method) => neverSent[name] !== undefined || neverSent[`${method}.${name}`] !== undefined),
  );
  expect(codes(names).toSorted()).toEqual(unsent.map(([name]) => name).toSorted());
});

test('each function that the page about states names is in its file', async () => {
  expect(await lostFunctions(page)).toEqual([]);
  expect(await lostFunctions(page.replace('`joinByWelcome`', '`joinByNothing`'))).toHaveLength(1);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CursorChange, CursorVectorFile } from '../../bin/codegen/test-vectors/cursor-vectors.ts';
import type { Verdict } from '../../bin/codegen/test-vectors/vector-file.ts';
import { XrpcFailure } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { readVectors } from './read-vectors.ts';

const file = await readVectors<CursorVectorFile>('cursors');
const [example, later] = file.examples;

let bed: TestBed;
let alice: XrpcClient;
let convoId: string;
let start: string;
beforeAll(async () => {
  bed = await startTestBed();
  alice = bed.client();
  start = (await firstFrames(undefined, 1))[0]?.cursor ?? '';
  const conversation = await createCraftedConversation(alice, []);
  ({ convoId } = conversation);
  await sendCrafted(alice, conversation);
});
afterAll(() => bed.stop());

interface SeenFrame {
  readonly cursor: string;
  readonly code?: string;
  readonly $type: string;
}

/** The first frames of a stream with this cursor, as server-sent events. */
async function firstFrames(cursor: string | undefined, count: number): Promise<SeenFrame[]> {
  const search = cursor === undefined ? '' : `?${new URLSearchParams({ cursor }).toString()}`;
  const response = await fetch(`${bed.server().url}/xrpc/blue.catbird.mls.streamConvoEvents${search}`, {
    headers: { authorization: `Bearer ${alice.token('streamConvoEvents')}` },
  });
  if (response.body === null) throw new Error('the response has no body');
  let text = '';
  const frames = (): string[] => [...text.matchAll(/^data: (.*)\n/gm)].map(([, data = '']) => data);
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (frames().length >= count) break;
  }
  return frames().map((data) => JSON.parse(data) as SeenFrame);
}

const changes: Readonly<Record<CursorChange, (cursor: string) => string>> = {
  none: (cursor) => cursor,
  'one letter': (cursor) => `${cursor.slice(0, 40)}${cursor[40] === 'A' ? 'B' : 'A'}${cursor.slice(41)}`,
  'without its last letter': (cursor) => cursor.slice(0, -1),
  'with a letter behind it': (cursor) => `${cursor}AAAA`,
  'in lower case': (cursor) => cursor.toLowerCase(),
  'the first half': (cursor) => cursor.slice(0, cursor.length / 2),
  'of another service': () => example?.cursors[0] ?? '',
  'a number': () => '42',
  empty: () => '',
};

async function verdictOf(cursor: string): Promise<Verdict> {
  try {
    await alice.call('updateCursor', { convoId, cursor });
    return { status: 200 };
  } catch (error) {
    if (!(error instanceof XrpcFailure)) throw error;
    return { status: error.status, error: error.error };
  }
}

async function wrongOutcomes({ vectors }: Pick<CursorVectorFile, 'vectors'>): Promise<string[]> {
  const wrong: string[] = [];
  for (const { name, change, updateCursor, stream } of vectors) {
    const cursor = changes[change](start);
    const verdict = await verdictOf(cursor);
    const [opening] = await firstFrames(cursor, 1);
    if (JSON.stringify(verdict) !== JSON.stringify(updateCursor)) wrong.push(`${name}: ${verdict.error ?? 'accepted'}`);
    if (opening?.code !== stream) wrong.push(`${name}: ${opening?.code ?? 'no code'}`);
  }
  return wrong;
}

test('a server accepts and refuses changed cursors as cursors.json says', async () => {
  expect(await wrongOutcomes(file)).toEqual([]);
});

test('two requests get different cursors for one event, and a stream resumes behind it with either', async () => {
  const first = await firstFrames(start, 3);
  const again = await firstFrames(start, 3);
  const types = (frames: readonly SeenFrame[]): string[] => frames.map(({ $type }) => $type);
  expect(types(again)).toEqual(types(first));
  expect(first.length).toBeGreaterThanOrEqual(2);
  for (const [index, { cursor }] of first.entries()) expect(again[index]?.cursor).not.toBe(cursor);
  const cursorsOfMessage = [first, again].map((frames) => frames.at(-1)?.cursor);
  const next = await Promise.all(cursorsOfMessage.map((cursor) => firstFrames(cursor, 1)));
  expect(next.map((frames) => frames.map(({ code }) => code))).toEqual([['streamOpened'], ['streamOpened']]);
  expect(example?.cursors[0]).not.toBe(example?.cursors[1]);
  expect(later?.cursors[0]?.length).toBe(example?.cursors[0]?.length);
});

test('wrong vectors are reported', async () => {
  const [same, changed] = file.vectors;
  if (same === undefined || changed === undefined) throw new Error('there are no vectors');
  const planted = [
    { ...same, updateCursor: changed.updateCursor },
    { ...changed, stream: 'streamOpened' as const },
  ];
  expect(await wrongOutcomes({ vectors: planted })).toEqual([
    `${same.name}: accepted`,
    `${changed.name}: cursorUnknown`,
  ]);
});

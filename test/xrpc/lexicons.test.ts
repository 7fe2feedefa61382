import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { domainErrors } from '#domain/domain-error.ts';
import { generalErrors } from '#xrpc/general-error.ts';
import { statuses } from '#xrpc/respond.ts';

/** Names that old clients know and that are never sent, with the reason. */
const neverSent: Readonly<Record<string, string>> = {
  AlreadyMember: 'adding a member again has no effect',
  BlockedByMember: 'the service does not look at blocks when members are added',
  BlockedByRecipient: 'a blocked sender must not learn of it',
  ConsumerTooSlow: 'sent as a close reason of the socket, not as an answer',
  ConversationNotFound: 'ConvoNotFound is sent in its place',
  ExpirationTooFar: 'longer lifetimes are shortened',
  MutualBlockDetected: 'it would tell the caller about blocks between others',
  NotFound: 'ConvoNotFound is sent in its place',
  RateLimited: 'RateLimitExceeded is sent in its place',
  RecipientMismatch: 'it would tell whose key package a Welcome names; KeyPackageNotFound is sent in its place',
  RecipientNotFound: 'it would tell who uses the service',
  TooManyDids: 'the lexicon check answers InvalidRequest first',
  Unauthorized: 'it would tell that a conversation or device exists',
};

interface Definition {
  readonly type: string;
  readonly errors?: readonly { readonly name: string }[];
}

interface Lexicon {
  readonly path: string;
  readonly id: string;
  readonly main: Definition | undefined;
}

const folder = join(import.meta.dirname, '../../lexicons');

async function lexicons(): Promise<Lexicon[]> {
  const paths = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.json'));
  return Promise.all(
    paths.map(async (path) => {
      const { id, defs } = JSON.parse(await readFile(join(folder, path), 'utf8'));
      return { path, id, main: defs.main };
    }),
  );
}

test('the path of a lexicon is its name', async () => {
  const all = await lexicons();
  expect(all.length).toBeGreaterThan(20);
  // "message.defs" keeps its dot: the folder holds one file for each name below blue.catbird.mls.
  for (const { path, id } of all)
    expect(`blue.catbird.mls.${path.slice('blue/catbird/mls/'.length, -'.json'.length)}`).toBe(id);
});

test('every error name that a method declares has a status, or a reason why it is never sent', async () => {
  const declared = new Set((await lexicons()).flatMap(({ main }) => (main?.errors ?? []).map(({ name }) => name)));
  const known = new Set([...Object.keys(statuses), ...Object.keys(neverSent)]);
  expect([...declared].filter((name) => !known.has(name))).toEqual([]);
  expect(Object.keys(neverSent).filter((name) => !declared.has(name))).toEqual([]);
});

test('every refusal of the domain can be sent by some method', async () => {
  const declared = new Set((await lexicons()).flatMap(({ main }) => (main?.errors ?? []).map(({ name }) => name)));
  expect(Object.keys(domainErrors).filter((name) => !declared.has(name))).toEqual([]);
});

test('a name means one thing: general refusals are not refusals of the domain', () => {
  expect(Object.keys(generalErrors).filter((name) => name in domainErrors)).toEqual([]);
});

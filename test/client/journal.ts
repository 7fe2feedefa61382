import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '#client/api/bytes.ts';
import type { OwnKeyPackage } from '#client/mls/mls-engine.ts';
import type { GroupRecord } from '#client/conversation/records.ts';

/** One write of the file storage. */
export type JournalWrite = readonly { readonly key: string; readonly value?: Uint8Array }[];

/** The writes in the journal of a storage folder; a line that a kill has cut off is left out. */
export async function readJournal(folder: string): Promise<JournalWrite[]> {
  const text = await readFile(join(folder, 'journal.jsonl'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => parseJson(line) as JournalWrite);
}

const read = <Value>(value: Uint8Array): Value => parseJson(new TextDecoder().decode(value)) as Value;

/** What the writes of a device show about its one-time key packages. */
export interface KeyPackageUse {
  /** Conversations that were joined by a Welcome, by the reference of the key package whose private part was deleted in that write. */
  readonly joined: ReadonlyMap<string, readonly string[]>;
  /** Groups that were stored for the first time without such a deletion, and private parts that were there after their deletion. */
  readonly problems: readonly string[];
}

export function keyPackageUseIn(writes: readonly JournalWrite[]): KeyPackageUse {
  const joined = new Map<string, string[]>();
  const problems: string[] = [];
  const initKeys = new Map<string, Buffer>();
  const knownGroups = new Set<string>();
  const readKeyPackage = (key: string, value: Uint8Array): void => {
    if (joined.has(key)) problems.push(`${key} is stored after it was used`);
    initKeys.set(key, initKeyOf(read<OwnKeyPackage>(value)));
  };
  const readGroup = (key: string, value: Uint8Array, changes: JournalWrite): void => {
    const { state, joined: how, pending } = read<GroupRecord>(value);
    const found = [...initKeys].filter(([, initKey]) => Buffer.from(state).includes(initKey));
    problems.push(...found.map(([ref]) => `${key} has the private part of ${ref}`));
    // A journal that was written anew has everything in its first write.
    const isJoin = !knownGroups.has(key) && how !== undefined && pending === undefined && changes.length <= 2;
    knownGroups.add(key);
    if (!isJoin) return;
    const deleted = changes.filter((each) => each.key.startsWith('key-package/') && each.value === undefined);
    if (deleted.length !== 1) problems.push(`${key} is joined and ${deleted.length} private parts are deleted`);
    for (const each of deleted) joined.set(each.key, [...(joined.get(each.key) ?? []), key]);
  };
  for (const changes of writes) {
    for (const { key, value } of changes) {
      if (value !== undefined && key.startsWith('key-package/')) readKeyPackage(key, value);
      if (value !== undefined && key.startsWith('group/')) readGroup(key, value, changes);
    }
  }
  return { joined, problems };
}

function initKeyOf({ secret }: OwnKeyPackage): Buffer {
  return Buffer.from(read<{ initPrivateKey: Uint8Array }>(secret).initPrivateKey);
}

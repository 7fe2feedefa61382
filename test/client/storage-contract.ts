import type { Storage } from '#client/storage/storage.ts';

/**
 * Checks what the messenger expects of a storage.
 * @param reopen opens the same storage again, as after a crash; the storage itself where it keeps nothing.
 * @returns what is wrong; nothing if the storage is right.
 */
export async function storageProblems(storage: Storage, reopen: () => Promise<Storage>): Promise<string[]> {
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
  const problems: string[] = [];
  const check = async (
    what: string,
    of: Storage,
    wanted: Readonly<Record<string, readonly number[]>>,
  ): Promise<void> => {
    const keys = (await of.keys('')).sort();
    const found = await Promise.all(keys.map(async (key) => [key, [...((await of.read(key)) ?? [])]] as const));
    const text = JSON.stringify(Object.fromEntries(found));
    if (text !== JSON.stringify(wanted)) problems.push(`${what}: ${text}`);
  };
  if ((await storage.read('a/1')) !== undefined) problems.push('an absent key has a value');
  await storage.write([
    { key: 'a/1', value: bytes(0, 255) },
    { key: 'b/1', value: bytes() },
  ]);
  await check('after the first write', storage, { 'a/1': [0, 255], 'b/1': [] });
  // Writes that are not awaited take effect in their order.
  await Promise.all([
    storage.write([{ key: 'a/1', value: bytes(1) }]),
    storage.write([{ key: 'a/1', value: bytes(2) }]),
    storage.write([
      { key: 'b/1', value: undefined },
      { key: 'a/2', value: bytes(3) },
    ]),
  ]);
  await check('after writes at the same time', storage, { 'a/1': [2], 'a/2': [3] });
  if ((await storage.keys('a/')).length !== 2 || (await storage.keys('b/')).length > 0) problems.push('wrong prefix');
  const again = await reopen();
  await check('after it was opened again', again, { 'a/1': [2], 'a/2': [3] });
  await again.write([{ key: 'a/2', value: undefined }]);
  await check('after a deletion', again, { 'a/1': [2] });
  return problems;
}

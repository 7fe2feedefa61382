import type { ApiClient, CallOptions } from './api-client.ts';
import type { MessageView, Methods } from './methods.ts';

/** Methods that return pages with a cursor, and the field of each with the entries. */
const entryFields = {
  getConvos: 'conversations',
  getKeyPackageHistory: 'history',
  getKeyPackageStatus: 'consumedPackages',
  getReports: 'reports',
  listChatRequests: 'requests',
} as const;

type PagedName = keyof typeof entryFields;
type EntriesOf<Name extends PagedName> = NonNullable<
  Methods[Name]['response'][(typeof entryFields)[Name] & keyof Methods[Name]['response']]
>;
type EntryOf<Name extends PagedName> = EntriesOf<Name> extends readonly (infer Entry)[] ? Entry : never;

/**
 * All entries of a method with pages, one page fetched at a time.
 * @throws what `call` throws.
 */
export async function* entriesOf<Name extends PagedName>(
  api: ApiClient,
  name: Name,
  request: Methods[Name]['request'],
  options?: CallOptions,
): AsyncGenerator<EntryOf<Name>, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = await api.call(name, cursor === undefined ? request : { ...request, cursor }, options);
    // The field is one of this method by the table above.
    yield* (page as unknown as Readonly<Record<string, readonly EntryOf<Name>[] | undefined>>)[entryFields[name]] ?? [];
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/**
 * All stored messages of a conversation after `sinceSeq`, in order of seq.
 * @throws what `call` throws.
 */
export async function* messagesAfter(
  api: ApiClient,
  convoId: string,
  sinceSeq: number,
  options?: CallOptions,
): AsyncGenerator<MessageView, void, undefined> {
  let last = sinceSeq;
  for (;;) {
    const { messages, lastSeq } = await api.call('getMessages', { convoId, sinceSeq: last }, options);
    yield* messages;
    if (messages.length === 0 || lastSeq === undefined || lastSeq <= last) return;
    last = lastSeq;
  }
}

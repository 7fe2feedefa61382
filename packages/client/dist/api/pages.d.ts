import type { ApiClient, CallOptions } from './api-client.ts';
import type { MessageView, Methods } from './methods.ts';
/** Methods that return pages with a cursor, and the field of each with the entries. */
declare const entryFields: {
    readonly getConvos: 'conversations';
    readonly getKeyPackageHistory: 'history';
    readonly getKeyPackageStatus: 'consumedPackages';
    readonly listChatRequests: 'requests';
};
type PagedName = keyof typeof entryFields;
type EntriesOf<Name extends PagedName> = NonNullable<Methods[Name]['response'][(typeof entryFields)[Name] & keyof Methods[Name]['response']]>;
type EntryOf<Name extends PagedName> = EntriesOf<Name> extends readonly (infer Entry)[] ? Entry : never;
/**
 * All entries of a method with pages, one page fetched at a time.
 * @throws what `call` throws.
 */
export declare function entriesOf<Name extends PagedName>(api: ApiClient, name: Name, request: Methods[Name]['request'], options?: CallOptions): AsyncGenerator<EntryOf<Name>, void, undefined>;
/**
 * All stored messages of a conversation after `sinceSeq`, in order of seq.
 * @throws what `call` throws.
 */
export declare function messagesAfter(api: ApiClient, convoId: string, sinceSeq: number, options?: CallOptions): AsyncGenerator<MessageView, void, undefined>;
export {};

/** Methods that return pages with a cursor, and the field of each with the entries. */
const entryFields = {
    getConvos: 'conversations',
    getKeyPackageHistory: 'history',
    getKeyPackageStatus: 'consumedPackages',
    listChatRequests: 'requests',
};
/**
 * All entries of a method with pages, one page fetched at a time.
 * @throws what `call` throws.
 */
export async function* entriesOf(api, name, request, options) {
    let cursor;
    do {
        const page = await api.call(name, cursor === undefined ? request : { ...request, cursor }, options);
        // The field is one of this method by the table above.
        yield* page[entryFields[name]] ?? [];
        cursor = page.cursor;
    } while (cursor !== undefined);
}
/**
 * All stored messages of a conversation after `sinceSeq`, in order of seq.
 * @throws what `call` throws.
 */
export async function* messagesAfter(api, convoId, sinceSeq, options) {
    let last = sinceSeq;
    for (;;) {
        const { messages, lastSeq } = await api.call('getMessages', { convoId, sinceSeq: last }, options);
        yield* messages;
        if (messages.length === 0 || lastSeq === undefined || lastSeq <= last)
            return;
        last = lastSeq;
    }
}

const storeName = 'values';
/**
 * Keeps everything in one IndexedDB database of the page's origin; each write is one strict transaction.
 * @throws DOMException when the browser refuses the database.
 */
export async function openIndexedDbStorage(databaseName) {
    const opening = indexedDB.open(databaseName, 1);
    opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(storeName));
    const database = await resultOf(opening);
    const objects = (mode) => database.transaction(storeName, mode, { durability: 'strict' }).objectStore(storeName);
    return {
        async read(key) {
            const value = await resultOf(objects('readonly').get(key));
            return value instanceof Uint8Array ? value : undefined;
        },
        async keys(prefix) {
            const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
            return (await resultOf(objects('readonly').getAllKeys(range))).map(String);
        },
        async write(changes) {
            const store = objects('readwrite');
            for (const { key, value } of changes) {
                if (value === undefined)
                    store.delete(key);
                else
                    store.put(value, key);
            }
            await completed(store.transaction);
        },
        close: () => database.close(),
    };
}
function resultOf(request) {
    return new Promise((resolve, reject) => {
        request.addEventListener('success', () => resolve(request.result), { once: true });
        request.addEventListener('error', () => reject(request.error), { once: true });
    });
}
function completed(transaction) {
    return new Promise((resolve, reject) => {
        transaction.addEventListener('complete', () => resolve(), { once: true });
        transaction.addEventListener('abort', () => reject(transaction.error), { once: true });
    });
}

import { parseJson, stringifyJson } from '../api/bytes.js';
export const keys = {
    device: 'device',
    group: (convoId) => `group/${convoId}`,
    keyPackage: (ref) => `key-package/${ref}`,
    /** Sorts as the numbers do. */
    inbox: (convoId, seq) => `inbox/${convoId}/${String(seq).padStart(16, '0')}`,
};
/** A change that stores `value`, or deletes the key. */
export function change(key, value) {
    return { key, value: value === undefined ? undefined : new TextEncoder().encode(stringifyJson(value)) };
}
export const readDevice = (storage) => readRecord(storage, keys.device);
export const readGroup = (storage, convoId) => readRecord(storage, keys.group(convoId));
export const readKeyPackage = (storage, ref) => readRecord(storage, keys.keyPackage(ref));
/** Messages of all conversations that the app has not processed, in order within each. */
export async function readInbox(storage) {
    const found = [];
    for (const key of (await storage.keys('inbox/')).sort()) {
        const [, convoId = '', seq = ''] = key.split('/');
        const record = await readRecord(storage, key);
        if (record !== undefined)
            found.push({ key, convoId, seq: Number(seq), record });
    }
    return found;
}
/** Ids of all conversations of which this device has the keys. */
export async function readConvoIds(storage) {
    return (await storage.keys('group/')).map((key) => key.slice('group/'.length));
}
/** Reads what `change` wrote. */
async function readRecord(storage, key) {
    const bytes = await storage.read(key);
    return bytes === undefined ? undefined : parseJson(new TextDecoder().decode(bytes));
}

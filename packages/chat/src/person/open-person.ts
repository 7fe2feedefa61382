import type { MlsEngine } from '#client/mls/mls-engine.ts';
import { openIndexedDbStorage } from '#client/storage/indexed-db-storage.ts';
import { AdvisedError } from './advice.ts';
import { History } from './history.ts';
import { Person } from './person.ts';
import type { PersonOptions } from './person.ts';

/** Name of the database with a person's keys and messages; a server with another DID has other conversations. */
const databaseNameOf = (serviceDid: string, did: string): string => `nightjar/${serviceDid}/${did}`;

/**
 * Opens the database of a person in this browser. The person is offline at first.
 * @throws AdvisedError when another tab has the person open, because two of them would use the same keys.
 */
export async function openPerson(
  options: Omit<PersonOptions, 'storage' | 'history'> & { readonly serviceDid: string; readonly engine: MlsEngine },
): Promise<Person> {
  const databaseName = databaseNameOf(options.serviceDid, options.did);
  if (!(await isFirstTab(databaseName))) {
    throw new AdvisedError(`${options.name} is open in another tab. Close that tab, then reload this page.`);
  }
  const storage = await openIndexedDbStorage(databaseName);
  return new Person({ ...options, storage, history: await History.open(storage) });
}

/** Deletes everything that this browser keeps of a person, and loads the page again. */
export async function startOver(person: Person, serviceDid: string): Promise<void> {
  // An open connection would block the deletion.
  await person.closeStorage();
  const deleting = indexedDB.deleteDatabase(databaseNameOf(serviceDid, person.did));
  await new Promise((resolve, reject) => {
    deleting.addEventListener('success', resolve);
    deleting.addEventListener('error', () => reject(deleting.error as Error));
  });
  location.reload();
}

/** Takes the lock that this page keeps until it is closed. */
function isFirstTab(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : new Promise<never>(() => undefined);
      })
      .catch(reject);
  });
}

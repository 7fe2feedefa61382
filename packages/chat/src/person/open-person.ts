import type { MlsEngine } from '#client/mls/mls-engine.ts';
import { openIndexedDbStorage } from '#client/storage/indexed-db-storage.ts';
import { AdvisedError } from './advice.ts';
import { History } from './history.ts';
import { Person } from './person.ts';
import type { PersonOptions } from './person.ts';

/** Name of the database with a person's keys and messages; a server with another DID has other conversations. */
export const databaseNameOf = (serviceDid: string, did: string): string => `nightjar/${serviceDid}/${did}`;

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

import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger, MessengerOptions } from '#client/conversation/messenger.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import type { Storage } from '#client/storage/storage.ts';
import type { Account } from '../support/clients/account.ts';
import type { ServerAddress } from '../support/clients/xrpc-client.ts';
import { clientApi } from './client-api.ts';

/** A person with one device, and what the device has told the app. */
export interface TestPerson {
  readonly messenger: Messenger;
  readonly storage: Storage;
  readonly events: ConversationEvent[];
  readonly errors: unknown[];
  /** Texts of a conversation in order, as `sender: text`. */
  texts(convoId: string): string[];
  say(convoId: string, text: string): Promise<string>;
}

export interface PersonOptions extends Partial<Omit<MessengerOptions, 'api' | 'did'>> {
  readonly account: Account;
  readonly server: ServerAddress;
  /** Names in `texts`; default: the DID. */
  readonly nameOf?: (did: string) => string;
  /** Time for one attempt of a call. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
}

export async function openPerson(options: PersonOptions): Promise<TestPerson> {
  const { account, server, nameOf = (did) => did, timeoutMs = 10_000, fetch: send, ...rest } = options;
  const events: ConversationEvent[] = [];
  const errors: unknown[] = [];
  const storage = options.storage ?? createMemoryStorage();
  const messenger = await openMessenger({
    engine: await createTsMlsEngine(),
    deviceName: 'test device',
    keyPackageTarget: 3,
    sharedTaskWaitMaxMs: 50,
    stream: { waitMaxMs: 200 },
    onEvent: (event) => void events.push(event),
    onError: (error) => void errors.push(error),
    ...rest,
    storage,
    did: account.did,
    api: clientApi(account, server, { retry: { firstWaitMs: 10 }, timeoutMs, ...(send && { fetch: send }) }),
  });
  return {
    messenger,
    storage,
    events,
    errors,
    texts: (convoId) =>
      events.flatMap((event) =>
        event.kind === 'message' && event.convoId === convoId
          ? [`${nameOf(event.senderDid)}: ${new TextDecoder().decode(event.content)}`]
          : [],
      ),
    say: (convoId, text) => messenger.send(convoId, new TextEncoder().encode(text)),
  };
}

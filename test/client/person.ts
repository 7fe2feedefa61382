import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger, MessengerOptions } from '#client/conversation/messenger.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import type { Storage } from '#client/storage/storage.ts';
import type { Account } from '../support/clients/account.ts';
import type { ServerAddress } from '../support/clients/xrpc-client.ts';
import { clientApi } from './client-api.ts';
import { observeDevice } from './observe-device.ts';

/** A person with one device, and what the device has told the app. A test that fails prints what the device did. */
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
  const { account, server, nameOf = (did) => did, timeoutMs = 10_000, fetch: send = fetch, ...rest } = options;
  const events: ConversationEvent[] = [];
  const errors: unknown[] = [];
  const observer = observeDevice(account.did, send);
  const storage = options.storage ?? createMemoryStorage();
  const messenger = await openMessenger({
    engine: await createTsMlsEngine(),
    deviceName: 'test device',
    keyPackageTarget: 3,
    sharedTaskWaitMaxMs: 50,
    stream: { waitMaxMs: 200 },
    onStateChange: (state) => observer.noteState(state),
    onEvent(event) {
      observer.noteEvent(event);
      events.push(event);
    },
    onError(error) {
      observer.noteError(error);
      errors.push(error);
    },
    ...rest,
    storage,
    did: account.did,
    api: clientApi(account, server, { retry: { firstWaitMs: 10 }, timeoutMs, fetch: observer.fetch }),
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

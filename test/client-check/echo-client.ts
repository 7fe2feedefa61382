import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient } from '#client/api/api-client.ts';
import { NoResponseError } from '#client/api/api-error.ts';
import { NotInGroupError } from '#client/conversation/conversation-error.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger, MessengerOptions } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import type { ClientIdentity, RunningClient } from '../../bin/client-check/session.ts';
import { identityFrom } from './identity-from.ts';
import { currentToken } from './service-token.ts';

/** The client of this project in the echo protocol: `ping <n>` gets `pong <n>`, `update <n>` new keys and `updated <n>`. */
export async function startEchoClient(
  identity: ClientIdentity,
  stream: MessengerOptions['stream'] = {},
): Promise<RunningClient> {
  const closing = new AbortController();
  const tasks = new Map<string, Promise<void>>();
  const messenger = await openMessenger({
    api: createApiClient({
      serviceUrl: identity.serviceUrl,
      getToken: (nsid) => currentToken(identity, nsid),
      timeoutMs: 60_000,
    }),
    did: identity.did,
    engine: await createTsMlsEngine(),
    storage: createMemoryStorage(),
    deviceName: 'Echo',
    keyPackageTarget: 6,
    stream,
    onEvent(event) {
      if (event.kind !== 'message' || event.senderDid === identity.did) return;
      const { convoId, content } = event;
      const earlier = tasks.get(convoId) ?? Promise.resolve();
      tasks.set(
        convoId,
        earlier.then(() => answer(messenger, convoId, new TextDecoder().decode(content), closing.signal)),
      );
    },
  });
  return {
    async stop() {
      closing.abort();
      await messenger.close();
      await Promise.all(tasks.values());
    },
  };
}

async function answer(messenger: Messenger, convoId: string, text: string, signal: AbortSignal): Promise<void> {
  const [verb = '', number = ''] = text.split(' ');
  const send = (words: string): Promise<unknown> => messenger.send(convoId, new TextEncoder().encode(words));
  if (verb === 'update') {
    await again(() => messenger.updateKeys(convoId), signal);
    await send(`updated ${number}`).catch(() => again(() => messenger.catchUp(convoId), signal));
  } else if (verb === 'ping') {
    // A message whose sending failed is stored, and sent when the device catches up.
    await send(`pong ${number}`).catch(() => again(() => messenger.catchUp(convoId), signal));
  }
}

/** Repeats what got no response; a refusal is final. */
async function again(task: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await task();
      return;
    } catch (error) {
      if (error instanceof NotInGroupError || !(error instanceof NoResponseError)) return;
      await sleep(500, undefined, { signal }).catch(() => undefined);
    }
  }
}

if (import.meta.main) await startEchoClient(identityFrom(process.env));

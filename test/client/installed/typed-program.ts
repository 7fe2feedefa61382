import { createApiClient } from '#client/api/api-client.ts';
import { isApiError } from '#client/api/api-error.ts';
import { entriesOf } from '#client/api/pages.ts';
import { openEventStream } from '#client/stream/event-stream.ts';
import { isEvent } from '#client/stream/stream-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';

const api = createApiClient({ serviceUrl: 'https://mls.example.com', getToken: async (nsid) => nsid });

/** What an app does, for the compiler only. */
export async function program(): Promise<Messenger> {
  for await (const { groupId, epoch } of entriesOf(api, 'getConvos', { limit: 10 })) {
    const sum: number = epoch + groupId.length;
    if (sum < 0) break;
  }
  try {
    await api.call('getEpoch', { convoId: 'ab' }, { signal: AbortSignal.timeout(1_000) });
    // @ts-expect-error - the method needs an id
    await api.call('getEpoch', {});
  } catch (error) {
    if (isApiError(error, 'EpochMismatch')) {
      const currentEpoch: number = error.currentEpoch;
      if (currentEpoch < 0) throw error;
    }
  }
  for await (const event of openEventStream(api, { transport: 'auto' })) {
    if (isEvent(event, 'messageEvent') && event.message.seq > 0) break;
  }
  return openMessenger({
    api,
    did: 'did:plc:abc',
    engine: await createTsMlsEngine(),
    storage: createMemoryStorage(),
    deviceName: 'telephone',
    onEvent(event) {
      if (event.kind === 'message') event.content.at(0);
      // @ts-expect-error - there is no such event
      if (event.kind === 'unknown') return;
    },
  });
}

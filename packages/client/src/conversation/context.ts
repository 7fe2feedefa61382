import type { ApiClient } from '../api/api-client.ts';
import type { DeviceIdentity, MlsEngine } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
import type { ConversationEvent } from './conversation-event.ts';

/** What the parts of one device's messenger share. */
export interface Context {
  readonly api: ApiClient;
  readonly engine: MlsEngine;
  readonly storage: Storage;
  readonly identity: DeviceIdentity;
  readonly deviceId: string;
  /** Ends every call of this device. */
  readonly signal: AbortSignal;
  /** Resolves when the app has processed the event. */
  readonly emit: (event: ConversationEvent) => Promise<void>;
}

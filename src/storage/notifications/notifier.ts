import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Sql } from '../connection/database.ts';

/**
 * Notifies readers of the event log on all servers, and sends them frames that are never stored. A lost notification
 * delays a reader but loses no event, because readers also poll.
 */
export interface Notifier {
  /** Reports that the event log has grown. Reports within 5 ms are sent to other servers as one notification. */
  notify(): void;
  /** Sends `payload` to every listener on every server. A server that is not connected misses the payload. */
  broadcast(payload: Buffer): void;
  onNotify(listener: () => void): void;
  onBroadcast(listener: (payload: Buffer) => void): void;
  close(): Promise<void>;
}

const channel = 'nightjar';
const notifyIntervalMs = 5;
/** This many bytes in base64 and the header fit into a NOTIFY payload, which must be shorter than 8,000 bytes. */
const chunkSizeBytes = 5_400;
/** The maximum number of payloads of which some chunks are missing. The oldest is dropped when there are more. */
const assembliesMax = 256;

/** Creates the notifier of the only server of a database, without Postgres NOTIFY. */
export function createLocalNotifier(): Notifier {
  const listeners: (() => void)[] = [];
  const broadcastListeners: ((payload: Buffer) => void)[] = [];
  return {
    notify: () => listeners.forEach((listener) => listener()),
    broadcast: (payload) => broadcastListeners.forEach((listener) => listener(payload)),
    onNotify: (listener) => void listeners.push(listener),
    onBroadcast: (listener) => void broadcastListeners.push(listener),
    close: async () => {},
  };
}

/**
 * Creates the notifier of several servers on one database. NOTIFY is sent after the write transaction and once for
 * several writes, because NOTIFY inside the transaction cost 16 to 57 % of the write throughput.
 * @param deps.direct must not go through PgBouncer, which drops LISTEN.
 */
export async function createPostgresNotifier(deps: {
  direct: Sql;
  clock: Clock;
  onError: (error: unknown) => void;
}): Promise<Notifier> {
  const local = createLocalNotifier();
  const origin = newSecret(6).toString('base64url');
  const assemblies = new Map<string, string[]>();
  let isNotifying = false;
  let broadcastCount = 0;

  function receive(message: string): void {
    const [from, id, index, count, chunk] = message.split(' ');
    if (from === origin) return;
    if (id === undefined || chunk === undefined) return local.notify();
    const chunks = assemblies.get(`${from} ${id}`) ?? [];
    chunks[Number(index)] = chunk;
    if (chunks.filter((part) => part !== undefined).length < Number(count)) {
      assemblies.set(`${from} ${id}`, chunks);
      const [oldest] = assemblies.keys();
      if (assemblies.size > assembliesMax && oldest !== undefined) assemblies.delete(oldest);
      return;
    }
    assemblies.delete(`${from} ${id}`);
    local.broadcast(Buffer.from(chunks.join(''), 'base64'));
  }

  const listening = await deps.direct.listen(channel, receive, () => local.notify());

  async function notifyOthers(): Promise<void> {
    await deps.clock.sleep(notifyIntervalMs);
    isNotifying = false;
    await deps.direct.notify(channel, origin);
  }

  return {
    ...local,
    notify() {
      local.notify();
      if (isNotifying) return;
      isNotifying = true;
      notifyOthers().catch(deps.onError);
    },
    broadcast(payload) {
      local.broadcast(payload);
      const id = broadcastCount++;
      const count = Math.ceil(payload.length / chunkSizeBytes);
      for (let index = 0; index < count; index++) {
        const chunk = payload.subarray(index * chunkSizeBytes, (index + 1) * chunkSizeBytes).toString('base64');
        deps.direct.notify(channel, `${origin} ${id} ${index} ${count} ${chunk}`).catch(deps.onError);
      }
    },
    close: () => listening.unlisten(),
  };
}

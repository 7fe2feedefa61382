import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Sql } from '../connection/database.ts';

/**
 * Wakes readers of the event log, here and on other servers, and carries what is never stored (ephemeral frames).
 * A lost ring costs latency, never data: readers also look by themselves now and then.
 */
export interface Notifier {
  /** Says that the event log has grown. Many rings within a few milliseconds become one. */
  ring(): void;
  /** Hands `payload` to every listener on every server; lost when a server is away. */
  broadcast(payload: Buffer): void;
  onNotify(listener: () => void): void;
  onBroadcast(listener: (payload: Buffer) => void): void;
  close(): Promise<void>;
}

const channel = 'nightjar';
const ringIntervalMs = 5;
/** NOTIFY carries less than 8,000 bytes: base64 of this many bytes and the header fit. */
const chunkSizeBytes = 5_400;
/** Half-received broadcasts kept at most; the oldest is dropped. */
const assembliesMax = 256;

/** The notifier of a server that runs alone with its database. */
export function createLocalNotifier(): Notifier {
  const rings: (() => void)[] = [];
  const broadcasts: ((payload: Buffer) => void)[] = [];
  return {
    ring: () => rings.forEach((listener) => listener()),
    broadcast: (payload) => broadcasts.forEach((listener) => listener(payload)),
    onNotify: (listener) => void rings.push(listener),
    onBroadcast: (listener) => void broadcasts.push(listener),
    close: async () => {},
  };
}

/**
 * The notifier of several servers on one database. NOTIFY runs coalesced and outside the write transaction, where it would
 * cost 16 to 57 % of the writes (design 5). `direct` must not go through PgBouncer, which swallows LISTEN.
 */
export async function createPostgresNotifier(deps: {
  direct: Sql;
  clock: Clock;
  onError: (error: unknown) => void;
}): Promise<Notifier> {
  const local = createLocalNotifier();
  const origin = newSecret(6).toString('base64url');
  const assemblies = new Map<string, string[]>();
  let ringing = false;
  let broadcastCount = 0;

  function receive(message: string): void {
    const [from, id, index, count, chunk] = message.split(' ');
    if (from === origin) return;
    if (id === undefined || chunk === undefined) return local.ring();
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

  const listening = await deps.direct.listen(channel, receive, () => local.ring());

  async function ringOthers(): Promise<void> {
    await deps.clock.sleep(ringIntervalMs);
    ringing = false;
    await deps.direct.notify(channel, origin);
  }

  return {
    ...local,
    ring() {
      local.ring();
      if (ringing) return;
      ringing = true;
      ringOthers().catch(deps.onError);
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

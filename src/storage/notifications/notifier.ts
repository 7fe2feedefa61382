/**
 * Notifies readers of the event log on all servers, and sends them frames that are never stored. A lost notification
 * delays a reader but loses no event, because readers also poll.
 */
export interface Notifier {
  /** Reports that the event log has grown, to the readers of all servers. */
  notify(): void;
  /**
   * Reports that the event log has grown to the other servers only. The first report is sent at once, and reports
   * within the next 5 ms are sent as one notification.
   */
  notifyOthers(): void;
  /** Sends `payload` to every listener on every server. A server that is not connected misses the payload. */
  broadcast(payload: Buffer): void;
  onNotify(listener: () => void): void;
  onBroadcast(listener: (payload: Buffer) => void): void;
  close(): Promise<void>;
}

/** Creates the notifier of the only server of a database, without Postgres NOTIFY. */
export function createLocalNotifier(): Notifier {
  const listeners: (() => void)[] = [];
  const broadcastListeners: ((payload: Buffer) => void)[] = [];
  return {
    notify: () => listeners.forEach((listener) => listener()),
    notifyOthers: () => undefined,
    broadcast: (payload) => broadcastListeners.forEach((listener) => listener(payload)),
    onNotify: (listener) => void listeners.push(listener),
    onBroadcast: (listener) => void broadcastListeners.push(listener),
    close: async () => {},
  };
}

import type { Storage, StorageChange } from '#client/storage/storage.ts';
import type { ConversationFacts, ConversationHistory, Line, Unsent } from './line.ts';

const prefixes = { facts: 'page/conversation/', line: 'page/line/', unsent: 'page/unsent/' } as const;

/** Sorts as the numbers do. */
const padded = (number: number): string => String(number).padStart(10, '0');

interface Entry {
  facts: ConversationFacts;
  lines: Line[];
  unsent: Unsent[];
  /** Sequence numbers of the messages in `lines`. */
  readonly seqs: Set<number>;
}

/** The conversations of one person as the page shows them, stored beside the keys of the device. */
export class History {
  readonly #storage: Storage;
  readonly #entries = new Map<string, Entry>();

  private constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Reads what an earlier visit of the page has stored. */
  static async open(storage: Storage): Promise<History> {
    const history = new History(storage);
    for (const [key, facts] of await readAll<ConversationFacts>(storage, prefixes.facts)) {
      history.#entry(key).facts = facts;
    }
    for (const [key, line] of await readAll<Line>(storage, prefixes.line)) {
      const entry = history.#entry(key);
      entry.lines.push(line);
      if (line.kind === 'message' || line.kind === 'unreadable') entry.seqs.add(line.seq);
    }
    for (const [key, unsent] of await readAll<Unsent>(storage, prefixes.unsent)) {
      history.#entry(key).unsent.push({ ...unsent, state: 'unknown' });
    }
    return history;
  }

  /** All conversations, the oldest first. */
  get conversations(): readonly ConversationHistory[] {
    return [...this.#entries].map(([convoId, entry]) => ({ convoId, ...entry }));
  }

  conversation(convoId: string): ConversationHistory | undefined {
    const entry = this.#entries.get(convoId);
    return entry && { convoId, ...entry };
  }

  /** Adds lines and changes facts in one write. A message that is there already is not added again. */
  async append(convoId: string, lines: readonly Line[], facts: Partial<ConversationFacts> = {}): Promise<void> {
    const entry = this.#entry(convoId);
    const added = lines.filter((line) => !('seq' in line) || !entry.seqs.has(line.seq));
    if (lines.length > 0 && added.length === 0) return;
    const first = entry.lines.length;
    entry.facts = { ...entry.facts, ...facts };
    for (const line of added) {
      entry.lines.push(line);
      if ('seq' in line) entry.seqs.add(line.seq);
    }
    await this.#storage.write([
      stored(`${prefixes.facts}${convoId}`, entry.facts),
      ...added.map((line, index) => stored(`${prefixes.line}${convoId}/${padded(first + index)}`, line)),
    ]);
  }

  /** Stores a message that is to be sent. */
  async addUnsent(convoId: string, text: string): Promise<Unsent> {
    const { unsent } = this.#entry(convoId);
    const added: Unsent = { order: Math.max(Date.now(), (unsent.at(-1)?.order ?? 0) + 1), text, state: 'waiting' };
    unsent.push(added);
    await this.#storage.write([stored(unsentKey(convoId, added.order), added)]);
    return added;
  }

  /** Changes what is shown of an unsent message. */
  changeUnsent(convoId: string, order: number, change: Partial<Unsent>): void {
    const entry = this.#entry(convoId);
    entry.unsent = entry.unsent.map((each) => (each.order === order ? { ...each, ...change } : each));
  }

  /** Forgets the stored text of a message that the messenger keeps from now on; it is shown until `hideUnsent`. */
  async forgetUnsent(convoId: string, order: number): Promise<void> {
    await this.#storage.write([{ key: unsentKey(convoId, order), value: undefined }]);
  }

  hideUnsent(convoId: string, order: number): void {
    const entry = this.#entry(convoId);
    entry.unsent = entry.unsent.filter((each) => each.order !== order);
  }

  /** Deletes everything that the page keeps of a conversation. */
  async delete(convoId: string): Promise<void> {
    const keys = await Promise.all([
      this.#storage.keys(`${prefixes.line}${convoId}/`),
      this.#storage.keys(`${prefixes.unsent}${convoId}/`),
    ]);
    const all = [`${prefixes.facts}${convoId}`, ...keys.flat()];
    await this.#storage.write(all.map((key) => ({ key, value: undefined })));
    this.#entries.delete(convoId);
  }

  #entry(convoId: string): Entry {
    const known = this.#entries.get(convoId);
    if (known !== undefined) return known;
    const facts = { members: [], epoch: 0, isMember: false, unreadCount: 0 };
    const created: Entry = { facts, lines: [], unsent: [], seqs: new Set() };
    this.#entries.set(convoId, created);
    return created;
  }
}

const unsentKey = (convoId: string, order: number): string => `${prefixes.unsent}${convoId}/${padded(order)}`;

function stored(key: string, value: object): StorageChange {
  return { key, value: new TextEncoder().encode(JSON.stringify(value)) };
}

/** All values below a prefix in the order of their keys, each with the conversation of its key. */
async function readAll<Value>(storage: Storage, prefix: string): Promise<[convoId: string, value: Value][]> {
  const keys = (await storage.keys(prefix)).sort();
  const values = await Promise.all(keys.map((key) => storage.read(key)));
  return keys.flatMap((key, index): [string, Value][] => {
    const bytes = values[index];
    if (bytes === undefined) return [];
    const [convoId = ''] = key.slice(prefix.length).split('/');
    // `stored` wrote it with this type.
    return [[convoId, JSON.parse(new TextDecoder().decode(bytes)) as Value]];
  });
}

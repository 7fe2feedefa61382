import { newSecret } from '#platform/ids.ts';

/** A row as a reader of the data folder sees it, and what only the test knows of it. */
export interface HeaderRow {
  /** Transactions that stand in the row's header: who wrote it, and who locked it or tried to change it. */
  readonly xids: readonly number[];
  /** Its place in the table, from 0 to 1. */
  readonly place: number;
  /** Whom the row is about. */
  readonly did: string;
}

/** The rows of one conversation in one table, and who is in it. */
export interface ConversationRows {
  readonly xids: readonly number[];
  readonly place: number;
  readonly dids: ReadonlySet<string>;
}

/** Returns the rows of people that somebody would name for a conversation. */
type Guess = (conversation: ConversationRows, people: readonly HeaderRow[]) => readonly HeaderRow[];

function nearest(conversation: ConversationRows, people: readonly HeaderRow[], side: 'before' | 'after'): HeaderRow[] {
  const own = side === 'before' ? Math.min(...conversation.xids) : Math.max(...conversation.xids);
  const gaps = people.map((row) => {
    const gap = Math.min(
      ...row.xids.map((xid) => (side === 'before' ? own - xid : xid - own)).filter((each) => each >= 0),
    );
    return [gap, row] as const;
  });
  const least = Math.min(...gaps.map(([gap]) => gap));
  return Number.isFinite(least) ? gaps.filter(([gap]) => gap === least).map(([, row]) => row) : [];
}

/** One row is too few to measure with: by chance alone its share varies by several points. */
const neighboursCount = 10;

function neighbours(conversation: ConversationRows, people: readonly HeaderRow[]): HeaderRow[] {
  const gap = (row: HeaderRow): number => Math.abs(row.place - conversation.place);
  return people.toSorted((a, b) => gap(a) - gap(b)).slice(0, neighboursCount);
}

/** Ways to use the headers. */
export const guesses = {
  'same transaction': ({ xids }, people) => people.filter((row) => row.xids.some((xid) => xids.includes(xid))),
  'last transaction before': (conversation, people) => nearest(conversation, people, 'before'),
  'first transaction after': (conversation, people) => nearest(conversation, people, 'after'),
  'place in the table': neighbours,
} as const satisfies Record<string, Guess>;

export type GuessName = keyof typeof guesses;

/** What a way to guess comes to, as shares of conversations: where the named person is in it. */
export interface Measured {
  readonly rate: number;
  /** The same guesses against all other conversations. */
  readonly chance: number;
  /** Standard deviation of the rate over these. */
  readonly spread: number;
}

/**
 * Guesses a person for each conversation. Of several rows that fit equally well one is taken at random; where none fits, any: so the
 * share is the expected one.
 */
export function measure(
  guess: Guess,
  conversations: readonly ConversationRows[],
  people: readonly HeaderRow[],
): Measured {
  const named = conversations.map((conversation) => {
    const found = guess(conversation, people);
    return shares(found.length === 0 ? people : found);
  });
  const rateOf = (truths: readonly ConversationRows[]): number =>
    mean(
      named.map((share, index) =>
        [...(truths[index]?.dids ?? [])].reduce((sum, did) => sum + (share.get(did) ?? 0), 0),
      ),
    );
  const dealt = conversations
    .slice(1)
    .map((_, index) => rateOf([...conversations.slice(index + 1), ...conversations.slice(0, index + 1)]));
  const chance = mean(dealt);
  const spread = Math.sqrt(mean(dealt.map((rate) => (rate - chance) ** 2)));
  return { rate: rateOf(conversations), chance, spread };
}

/** How likely each person is to be named when one of the rows is taken at random. */
function shares(rows: readonly HeaderRow[]): ReadonlyMap<string, number> {
  const shareOf = new Map<string, number>();
  for (const { did } of rows) shareOf.set(did, (shareOf.get(did) ?? 0) + 1 / rows.length);
  return shareOf;
}

/**
 * Names one person for each conversation and calls two conversations linked that got the same: the share of linked pairs that have
 * somebody in common, against the share of all pairs.
 */
export function measureLinks(
  guess: Guess,
  conversations: readonly ConversationRows[],
  people: readonly HeaderRow[],
): Measured {
  const hasCommon = (a: ConversationRows, b: ConversationRows): boolean => [...a.dids].some((did) => b.dids.has(did));
  const pairs = conversations.flatMap((a, index) => conversations.slice(index + 1).map((b) => [a, b] as const));
  const chance = mean(pairs.map(([a, b]) => (hasCommon(a, b) ? 1 : 0)));
  const candidates = conversations.map((conversation) => guess(conversation, people));
  const rates = Array.from({ length: 30 }, () => {
    const named = new Map(conversations.map((conversation, index) => [conversation, pick(candidates[index] ?? [])]));
    const linked = pairs.filter(([a, b]) => named.get(a) !== undefined && named.get(a) === named.get(b));
    return { linked: linked.length, right: linked.filter(([a, b]) => hasCommon(a, b)).length };
  });
  const linked = rates.reduce((sum, each) => sum + each.linked, 0);
  if (linked === 0) return { rate: chance, chance, spread: 0 };
  const rate = rates.reduce((sum, each) => sum + each.right, 0) / linked;
  return { rate, chance, spread: Math.sqrt((chance * (1 - chance)) / (linked / rates.length)) };
}

function pick(rows: readonly HeaderRow[]): string | undefined {
  return rows[Math.floor((newSecret(4).readUInt32BE() / 2 ** 32) * rows.length)]?.did;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => [newSecret(4).readUInt32BE(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

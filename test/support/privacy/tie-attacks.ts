import { newSecret } from '#platform/ids.ts';

/** The data of a row that an attacker with the data folder can read, and the person of the row, which only the test has. */
export interface HeaderRow {
  /** Transaction ids in the row's header: of the insert, and of locks and attempted changes. */
  readonly xids: readonly number[];
  /** The relative position in the table, from 0 to 1. */
  readonly place: number;
  /** The person of the row. */
  readonly did: string;
}

/** The rows of one conversation in one table, and its members. */
export interface ConversationRows {
  readonly xids: readonly number[];
  readonly place: number;
  readonly dids: ReadonlySet<string>;
}

/** Returns the rows of people that an attacker would assign to a conversation. */
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

/** With one row the measured share would vary by several percentage points. */
const neighboursCount = 10;

function neighbours(conversation: ConversationRows, people: readonly HeaderRow[]): HeaderRow[] {
  const gap = (row: HeaderRow): number => Math.abs(row.place - conversation.place);
  return people.toSorted((a, b) => gap(a) - gap(b)).slice(0, neighboursCount);
}

/** The attacks on the row headers. */
export const guesses = {
  'same transaction': ({ xids }, people) => people.filter((row) => row.xids.some((xid) => xids.includes(xid))),
  'last transaction before': (conversation, people) => nearest(conversation, people, 'before'),
  'first transaction after': (conversation, people) => nearest(conversation, people, 'after'),
  'place in the table': neighbours,
} as const satisfies Record<string, Guess>;

export type GuessName = keyof typeof guesses;

/** The result of an attack: the share of conversations for which the guessed person is a member. */
export interface Measured {
  readonly rate: number;
  /** The share for the same guesses applied to other conversations. */
  readonly chance: number;
  /** Standard deviation of the share over other conversations. */
  readonly spread: number;
}

/**
 * Guesses a person for each conversation. Several rows that fit equally well each count with their probability; without a fitting row
 * every row counts, so the result is the expected share.
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

/** The probability of each person when one of the rows is chosen at random. */
function shares(rows: readonly HeaderRow[]): ReadonlyMap<string, number> {
  const shareOf = new Map<string, number>();
  for (const { did } of rows) shareOf.set(did, (shareOf.get(did) ?? 0) + 1 / rows.length);
  return shareOf;
}

/**
 * Guesses one person for each conversation and links the conversations with the same guess. Returns the share of linked pairs that have
 * a common member, compared with the share of all pairs.
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

/**
 * Two rules on one state, both as pure functions of the time.
 *
 * GCRA (ITU-T I.371) shapes: requests come `windowMs / limit` apart, with `burst` at once after a pause. Alone it lets
 * `limit + burst` into one window (a full burst, then the refill), and no choice of its two numbers lets a whole limit
 * come at once, lets an even client have its whole rate, and still keeps every window within the limit.
 *
 * So a count of the last window caps it: charges are counted by slots of a sixtieth of the window, and a slot counts
 * until a whole window after its end. Hence no window, wherever it begins, admits more than `limit`; the price is that
 * an even client gets 60 of 61 parts of its rate. The state has at most 61 numbers, whatever the limit.
 */
export interface QuotaRule {
  readonly name: string;
  readonly limit: number;
  /** From 1; above `limit` it means `limit`. */
  readonly burst: number;
  readonly windowMs: number;
}

/** What is known of one key; undefined stands for a key that nobody used within the last window. */
export interface QuotaState {
  /** GCRA's theoretical arrival time of the next request. */
  readonly dueAtMs: number;
  readonly firstSlot: number;
  /** Charges by slot, from `firstSlot` on. */
  readonly counts: readonly number[];
}

export interface Outcome {
  readonly allowed: boolean;
  /** In charges of cost 1. */
  readonly remaining: number;
  /** Until the same charge passes; 0 when allowed. */
  readonly waitMs: number;
  /** Until nothing is charged any more. */
  readonly restoredInMs: number;
}

const slotsPerWindow = 60;
/** A microsecond: above what adding fractions of a millisecond loses in months, below what a client can use. */
const roundingMs = 1e-3;

/**
 * Charges `cost` (1 for a request, or as many as a request has bytes) at `nowMs` if both rules allow it; what is refused
 * changes nothing. A cost above the burst passes alone, after a pause.
 * @throws RangeError unless `cost` is a whole number from 1 to the limit.
 */
export function charge(
  rule: QuotaRule,
  state: QuotaState | undefined,
  nowMs: number,
  cost = 1,
): { readonly state: QuotaState; readonly outcome: Outcome } {
  assertCost(rule, cost);
  const current = forget(rule, state, nowMs);
  const waitMs = Math.max(shapeWaitMs(rule, current, nowMs, cost), capWaitMs(rule, current, nowMs, cost));
  if (waitMs > 0) return { state: current, outcome: { ...outcomeOf(rule, current, nowMs), allowed: false, waitMs } };
  const charged = add(rule, current, nowMs, cost);
  return { state: charged, outcome: { ...outcomeOf(rule, charged, nowMs), allowed: true, waitMs: 0 } };
}

/**
 * Counts `cost` that was admitted elsewhere, whether or not there is room, and as much more as it takes to have `usedMin`
 * counted. Nobody has to wait for longer than a window for it.
 */
export function note(
  rule: QuotaRule,
  state: QuotaState | undefined,
  nowMs: number,
  { cost, usedMin }: { readonly cost: number; readonly usedMin: number },
): QuotaState {
  const current = forget(rule, state, nowMs);
  const added = Math.max(cost, usedMin - total(current));
  if (added <= 0) return current;
  const noted = add(rule, current, nowMs, added);
  return { ...noted, dueAtMs: Math.min(noted.dueAtMs, nowMs + rule.windowMs) };
}

/**
 * Takes a charge of `cost` back that was made at `chargedAtMs`. It leaves the slot in which it was counted, so that the others
 * grow neither older nor younger: were it the oldest that goes, a stream of charges that are given back would keep the rest
 * from ever leaving the window. What is no longer in its slot is taken from the oldest, and the cap holds either way.
 */
export function refund(rule: QuotaRule, state: QuotaState, chargedAtMs: number, cost = 1): QuotaState {
  const own = slotOf(rule, chargedAtMs) - state.firstSlot;
  // It has left the window by itself.
  if (own < 0) return state;
  const counts = state.counts.slice();
  let left = cost;
  for (const index of [own, ...counts.keys()]) {
    const taken = Math.min(counts[index] ?? 0, left);
    if (taken > 0) counts[index] = (counts[index] ?? 0) - taken;
    left -= taken;
  }
  return { ...state, dueAtMs: state.dueAtMs - (cost - left) * intervalMs(rule), counts };
}

/** @throws RangeError unless `cost` is a whole number from 1 to the limit. */
export function assertCost(rule: QuotaRule, cost: number): void {
  if (!Number.isInteger(cost) || cost < 1 || cost > rule.limit) {
    throw new RangeError(`a charge of ${rule.name} must be a whole number from 1 to its limit`);
  }
}

/** Whether `state` no longer says anything that an unknown key would not say. */
export function isSpent(rule: Pick<QuotaRule, 'windowMs'>, state: QuotaState, nowMs: number): boolean {
  return slotEndMs(rule, state.firstSlot + state.counts.length - 1) + rule.windowMs <= nowMs && state.dueAtMs <= nowMs;
}

function intervalMs(rule: QuotaRule): number {
  return rule.windowMs / rule.limit;
}

function slotOf(rule: QuotaRule, nowMs: number): number {
  return Math.floor((nowMs * slotsPerWindow) / rule.windowMs);
}

function slotEndMs(rule: Pick<QuotaRule, 'windowMs'>, slot: number): number {
  return ((slot + 1) * rule.windowMs) / slotsPerWindow;
}

function forget(rule: QuotaRule, state: QuotaState | undefined, nowMs: number): QuotaState {
  const slot = slotOf(rule, nowMs);
  if (state === undefined) return { dueAtMs: nowMs, firstSlot: slot, counts: [] };
  // From a clock that was set back by more than a window since: nobody should wait for the time to come round again.
  if (state.firstSlot > slot + slotsPerWindow) return { dueAtMs: nowMs, firstSlot: slot, counts: [] };
  const oldest = slot - slotsPerWindow;
  if (state.firstSlot >= oldest) return state;
  return { dueAtMs: state.dueAtMs, firstSlot: oldest, counts: state.counts.slice(oldest - state.firstSlot) };
}

function add(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): QuotaState {
  const index = Math.max(0, slotOf(rule, nowMs) - state.firstSlot);
  // A list made to measure takes half the memory of one that grew.
  const counts =
    index < state.counts.length
      ? state.counts.slice()
      : Array.from({ length: index + 1 }, (_, at) => state.counts[at] ?? 0);
  counts[index] = (counts[index] ?? 0) + cost;
  return { dueAtMs: Math.max(nowMs, state.dueAtMs) + cost * intervalMs(rule), firstSlot: state.firstSlot, counts };
}

function toleranceMs(rule: QuotaRule, cost: number): number {
  return Math.max(0, Math.min(rule.burst, rule.limit) - cost) * intervalMs(rule);
}

function shapeWaitMs(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): number {
  const waitMs = state.dueAtMs - toleranceMs(rule, cost) - nowMs;
  return waitMs > roundingMs ? waitMs : 0;
}

/** Until enough of the oldest slots have left the window for a charge of `cost`. */
function capWaitMs(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): number {
  let excess = total(state) + cost - rule.limit;
  if (excess <= 0) return 0;
  for (const [index, count] of state.counts.entries()) {
    excess -= count;
    if (excess <= 0) return slotEndMs(rule, state.firstSlot + index) + rule.windowMs - nowMs;
  }
  return rule.windowMs;
}

function outcomeOf(rule: QuotaRule, state: QuotaState, nowMs: number): Pick<Outcome, 'remaining' | 'restoredInMs'> {
  const leftOfBurst =
    Math.floor((nowMs + toleranceMs(rule, 1) - Math.max(nowMs, state.dueAtMs) + roundingMs) / intervalMs(rule)) + 1;
  const newest = state.counts.findLastIndex((count) => count > 0);
  const clearAtMs = newest === -1 ? nowMs : slotEndMs(rule, state.firstSlot + newest) + rule.windowMs;
  return {
    remaining: Math.max(0, Math.min(rule.limit - total(state), leftOfBurst, rule.limit)),
    restoredInMs: Math.max(0, clearAtMs - nowMs, state.dueAtMs - nowMs),
  };
}

function total(state: QuotaState): number {
  return state.counts.reduce((sum, count) => sum + count, 0);
}

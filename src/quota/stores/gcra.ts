/**
 * Two rules on one state, both pure functions of the time.
 *
 * GCRA (ITU-T I.371) shapes the traffic: requests are `windowMs / limit` apart, with up to `burst` at once after a
 * pause. Alone it admits `limit + burst` in one window (a full burst, then the refill). No choice of its two numbers
 * admits the whole limit at once, admits an even client at the full rate, and keeps every window within the limit.
 *
 * A count of the last window therefore caps it: charges are counted in slots of a sixtieth of the window, and a slot
 * counts until a whole window after its end. No window, wherever it begins, admits more than `limit`; the price is that
 * an even client gets 60/61 of its rate. The state has at most 61 numbers, for any limit.
 */
export interface QuotaRule {
  readonly name: string;
  readonly limit: number;
  /** At least 1; a value above `limit` counts as `limit`. */
  readonly burst: number;
  readonly windowMs: number;
}

/** The state of one bucket; undefined stands for a bucket without a charge in the last window. */
export interface QuotaState {
  /** GCRA's theoretical arrival time of the next request. */
  readonly dueAtMs: number;
  readonly firstSlot: number;
  /** Charges per slot, starting at `firstSlot`. */
  readonly counts: readonly number[];
}

export interface Outcome {
  readonly allowed: boolean;
  /** In charges of cost 1. */
  readonly remaining: number;
  /** Milliseconds until the same charge passes; 0 when allowed. */
  readonly waitMs: number;
  /** Milliseconds until no charge counts any more. */
  readonly restoredInMs: number;
}

const slotsPerWindow = 60;
/**
 * A microsecond: more than the rounding error of fractions of a millisecond over months, less than a client can use.
 */
const roundingMs = 1e-3;

/**
 * Charges `cost` (1 for a request, or the size of a request) at `nowMs` if both rules allow it; a refused charge does
 * not change the state. A cost above the burst passes alone, after a pause.
 * @throws RangeError unless `cost` is a whole number from 1 to the limit.
 */
export function charge(
  rule: QuotaRule,
  state: QuotaState | undefined,
  nowMs: number,
  cost = 1,
): { readonly state: QuotaState; readonly outcome: Outcome } {
  assertCost(rule, cost);
  const current = dropOldSlots(rule, state, nowMs);
  const waitMs = Math.max(shapeWaitMs(rule, current, nowMs, cost), capWaitMs(rule, current, nowMs, cost));
  if (waitMs > 0) return { state: current, outcome: { ...outcomeOf(rule, current, nowMs), allowed: false, waitMs } };
  const charged = addCharge(rule, current, nowMs, cost);
  return { state: charged, outcome: { ...outcomeOf(rule, charged, nowMs), allowed: true, waitMs: 0 } };
}

/**
 * Counts `cost` that was admitted elsewhere, even without room, and adds more until at least `usedMin` is counted. The
 * resulting wait is at most one window.
 */
export function record(
  rule: QuotaRule,
  state: QuotaState | undefined,
  nowMs: number,
  { cost, usedMin }: { readonly cost: number; readonly usedMin: number },
): QuotaState {
  const current = dropOldSlots(rule, state, nowMs);
  const added = Math.max(cost, usedMin - total(current));
  if (added <= 0) return current;
  const recorded = addCharge(rule, current, nowMs, added);
  return { ...recorded, dueAtMs: Math.min(recorded.dueAtMs, nowMs + rule.windowMs) };
}

/**
 * Refunds a charge of `cost` made at `chargedAtMs`. The charge is removed from the slot in which it was counted: if
 * refunds removed the oldest charges, a stream of refunded charges would keep the remaining ones in the window forever.
 * What is no longer in its slot is removed from the oldest slots; the cap holds in both cases.
 */
export function refund(rule: QuotaRule, state: QuotaState, chargedAtMs: number, cost = 1): QuotaState {
  const own = slotOf(rule, chargedAtMs) - state.firstSlot;
  // The charge has already left the window.
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

/** Whether `state` has the same effect as an undefined state. */
export function isExpired(rule: Pick<QuotaRule, 'windowMs'>, state: QuotaState, nowMs: number): boolean {
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

function dropOldSlots(rule: QuotaRule, state: QuotaState | undefined, nowMs: number): QuotaState {
  const slot = slotOf(rule, nowMs);
  if (state === undefined) return { dueAtMs: nowMs, firstSlot: slot, counts: [] };
  // The clock was set back by more than a window; without this reset clients would wait for the old time to be reached
  // again.
  if (state.firstSlot > slot + slotsPerWindow) return { dueAtMs: nowMs, firstSlot: slot, counts: [] };
  const oldest = slot - slotsPerWindow;
  if (state.firstSlot >= oldest) return state;
  return { dueAtMs: state.dueAtMs, firstSlot: oldest, counts: state.counts.slice(oldest - state.firstSlot) };
}

function addCharge(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): QuotaState {
  const index = Math.max(0, slotOf(rule, nowMs) - state.firstSlot);
  // An array created with its final length takes half the memory of one that grew.
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

/** Milliseconds until enough of the oldest slots have left the window for a charge of `cost`. */
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

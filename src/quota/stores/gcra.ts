/**
 * The numbers of one limit. A charge is admitted if both GCRA (`shapeWaitMs`) and the count of the last window
 * (`capWaitMs`) have room.
 */
export interface QuotaRule {
  readonly name: string;
  readonly limit: number;
  /** At least 1; a value above `limit` counts as `limit`. */
  readonly burst: number;
  readonly windowMs: number;
}

/** The state of one bucket. A bucket without a charge in the last window has the state undefined. */
export interface QuotaState {
  /** GCRA's theoretical arrival time of the next request. */
  readonly dueAtMs: number;
  readonly firstSlot: number;
  /** Charges per slot, starting at `firstSlot`. */
  readonly counts: readonly number[];
}

export interface Outcome {
  readonly allowed: boolean;
  /** The number of charges of cost 1 that would be admitted now. */
  readonly remaining: number;
  /** Milliseconds until a charge of the same cost would be admitted; 0 when allowed. */
  readonly waitMs: number;
  /** Milliseconds until no charge counts any more. */
  readonly restoredInMs: number;
}

/** Charges are counted in slots of a sixtieth of the window, so that a state has at most 61 numbers for any limit. */
const slotsPerWindow = 60;
/** One microsecond, which is more than the rounding error of times over months and too short to help a client. */
const roundingMs = 1e-3;

/**
 * Charges `cost` (1 for a request, or its size) at `nowMs` if both rules allow it; a refused charge does not change the
 * state. A cost above the burst is admitted only after a pause without charges.
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
 * Counts a `cost` that another store admitted, even without room, and counts more until the total is at least
 * `usedMin`. The next charge then waits at most one window.
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
 * Refunds a charge of `cost` made at `chargedAtMs`, first from the slot of that time and then from the oldest slots.
 * Refunds from the oldest slots first would leave the newest charges, which count longest.
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

/**
 * Checks the cost of a charge.
 * @throws RangeError unless `cost` is a whole number from 1 to the limit.
 */
export function assertCost(rule: QuotaRule, cost: number): void {
  if (!Number.isInteger(cost) || cost < 1 || cost > rule.limit) {
    throw new RangeError(`a charge of ${rule.name} must be a whole number from 1 to its limit`);
  }
}

/** Returns whether no charge of `state` counts any more, so that the state can be deleted. */
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
  // The clock was set back by more than a window, and without this reset clients would wait until the earlier time is
  // reached again.
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

/**
 * Returns the wait in milliseconds by GCRA (ITU-T I.371), which spaces charges `windowMs / limit` apart and admits up
 * to `burst` at once after a pause. GCRA alone would admit `limit + burst` in one window.
 */
function shapeWaitMs(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): number {
  const waitMs = state.dueAtMs - toleranceMs(rule, cost) - nowMs;
  return waitMs > roundingMs ? waitMs : 0;
}

/**
 * Returns the milliseconds until enough of the oldest slots have left the window for a charge of `cost`. A slot counts
 * until a whole window after its end, so that no window admits more than `limit`; an evenly spaced client therefore
 * gets 60/61 of its rate.
 */
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
  let sum = 0;
  for (const count of state.counts) sum += count;
  return sum;
}

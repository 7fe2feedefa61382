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

/** The charges of one bucket. `charge`, `record` and `refund` change it in place, because a copy costs most of a charge. */
export interface QuotaState {
  /** GCRA's theoretical arrival time of the next request. */
  dueAtMs: number;
  firstSlot: number;
  /** Charges per slot, starting at `firstSlot`. Slots that have left the window are removed. */
  counts: number[];
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

/** Returns the state of a bucket without a charge in the last window. */
export function emptyState(): QuotaState {
  return { dueAtMs: 0, firstSlot: 0, counts: [] };
}

/**
 * Charges `cost` (1 for a request, or its size) at `nowMs` if both rules allow it; a refused charge does not count. A
 * cost above the burst is admitted only after a pause without charges.
 * @throws RangeError unless `cost` is a whole number from 1 to the limit.
 */
export function charge(rule: QuotaRule, state: QuotaState, nowMs: number, cost = 1): Outcome {
  const current = withoutOldSlots(rule, state, nowMs);
  const outcome = outcomeOf(rule, current, nowMs, cost);
  if (!outcome.allowed) return outcome;
  replaceBy(state, current);
  addCharge(rule, state, nowMs, cost);
  return outcome;
}

/** Returns the outcome that `charge` would have, and changes nothing. */
export function peek(rule: QuotaRule, state: QuotaState, nowMs: number, cost = 1): Outcome {
  return outcomeOf(rule, withoutOldSlots(rule, state, nowMs), nowMs, cost);
}

/** Returns the outcome of a charge on a state without old slots. */
function outcomeOf(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): Outcome {
  assertCost(rule, cost);
  const usedBefore = total(state);
  const waitMs = Math.max(
    shapeWaitMs(rule, state, nowMs, cost),
    capWaitMs(rule, state, nowMs, usedBefore + cost - rule.limit),
  );
  const allowed = waitMs === 0;
  const newestSlot = newestSlotOf(state);
  const after = allowed
    ? {
        used: usedBefore + cost,
        dueAtMs: dueAfter(rule, state, nowMs, cost),
        newestSlot: Math.max(newestSlot, slotToCharge(rule, state, nowMs)),
      }
    : { used: usedBefore, dueAtMs: state.dueAtMs, newestSlot };
  const clearAtMs = slotEndMs(rule, after.newestSlot) + rule.windowMs;
  return {
    allowed,
    remaining: Math.max(0, Math.min(rule.limit - after.used, leftOfBurst(rule, after.dueAtMs, nowMs), rule.limit)),
    waitMs,
    restoredInMs: Math.max(0, clearAtMs - nowMs, after.dueAtMs - nowMs),
  };
}

/**
 * Counts a `cost` that another store admitted, even without room, and counts more until the total is at least
 * `usedMin`. The next charge then waits at most one window.
 */
export function record(
  rule: QuotaRule,
  state: QuotaState,
  nowMs: number,
  { cost, usedMin }: { readonly cost: number; readonly usedMin: number },
): void {
  replaceBy(state, withoutOldSlots(rule, state, nowMs));
  const added = Math.max(cost, usedMin - total(state));
  if (added <= 0) return;
  addCharge(rule, state, nowMs, added);
  state.dueAtMs = Math.min(state.dueAtMs, nowMs + rule.windowMs);
}

/**
 * Refunds a charge of `cost` made at `chargedAtMs`, first from the slot of that time and then from the oldest slots.
 * Refunds from the oldest slots first would leave the newest charges, which count longest.
 */
export function refund(rule: QuotaRule, state: QuotaState, chargedAtMs: number, cost = 1): void {
  const own = slotOf(rule, chargedAtMs) - state.firstSlot;
  // The charge has already left the window.
  if (own < 0) return;
  let left = cost - takeFromSlot(state, own, cost);
  for (let index = 0; left > 0 && index < state.counts.length; index++) left -= takeFromSlot(state, index, left);
  state.dueAtMs -= (cost - left) * intervalMs(rule);
}

function takeFromSlot({ counts }: QuotaState, index: number, countMax: number): number {
  const count = counts[index] ?? 0;
  const taken = Math.min(count, countMax);
  if (taken > 0) counts[index] = count - taken;
  return taken;
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
  return slotEndMs(rule, newestSlotOf(state)) + rule.windowMs <= nowMs && state.dueAtMs <= nowMs;
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

/** Returns the state without the slots that have left the window, as a copy if there are any. */
function withoutOldSlots(rule: QuotaRule, state: QuotaState, nowMs: number): QuotaState {
  const slot = slotOf(rule, nowMs);
  const oldest = slot - slotsPerWindow;
  if (state.counts.length === 0) return { dueAtMs: state.dueAtMs, firstSlot: slot, counts: [] };
  // The clock was set back by more than a window, and without this reset clients would wait until the earlier time is
  // reached again.
  if (state.firstSlot > slot + slotsPerWindow) return { dueAtMs: nowMs, firstSlot: slot, counts: [] };
  if (state.firstSlot >= oldest) return state;
  return { dueAtMs: state.dueAtMs, firstSlot: oldest, counts: state.counts.slice(oldest - state.firstSlot) };
}

function replaceBy(state: QuotaState, current: QuotaState): void {
  state.dueAtMs = current.dueAtMs;
  state.firstSlot = current.firstSlot;
  state.counts = current.counts;
}

function addCharge(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): void {
  const { counts } = state;
  const index = slotToCharge(rule, state, nowMs) - state.firstSlot;
  while (counts.length <= index) counts.push(0);
  counts[index] = (counts[index] ?? 0) + cost;
  state.dueAtMs = dueAfter(rule, state, nowMs, cost);
}

/** Returns the slot in which a charge counts, which is the first one if the clock was set back. */
function slotToCharge(rule: QuotaRule, state: QuotaState, nowMs: number): number {
  return Math.max(slotOf(rule, nowMs), state.firstSlot);
}

function dueAfter(rule: QuotaRule, state: QuotaState, nowMs: number, cost: number): number {
  return Math.max(nowMs, state.dueAtMs) + cost * intervalMs(rule);
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
 * Returns the milliseconds until the oldest slots with `excess` charges have left the window. A slot counts until a
 * whole window after its end, so that no window admits more than `limit`; an evenly spaced client therefore gets 60/61
 * of its rate.
 */
function capWaitMs(rule: QuotaRule, { firstSlot, counts }: QuotaState, nowMs: number, excess: number): number {
  if (excess <= 0) return 0;
  let left = excess;
  for (let index = 0; index < counts.length; index++) {
    left -= counts[index] ?? 0;
    if (left <= 0) return slotEndMs(rule, firstSlot + index) + rule.windowMs - nowMs;
  }
  return rule.windowMs;
}

function leftOfBurst(rule: QuotaRule, dueAtMs: number, nowMs: number): number {
  return Math.floor((nowMs + toleranceMs(rule, 1) - Math.max(nowMs, dueAtMs) + roundingMs) / intervalMs(rule)) + 1;
}

/** Returns the last slot with a charge, or -Infinity without one. */
function newestSlotOf({ firstSlot, counts }: QuotaState): number {
  for (let index = counts.length - 1; index >= 0; index--) if (counts[index] !== 0) return firstSlot + index;
  return -Infinity;
}

function total({ counts }: QuotaState): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

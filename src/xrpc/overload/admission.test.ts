import { expect, test } from 'vitest';
import { createAdmission } from './admission.ts';
import type { Admission, ShedReason } from './admission.ts';

interface Held {
  readonly end: () => void;
  readonly ended: Promise<unknown>;
}

function hold(admission: Admission, wait?: (until: Promise<void>) => Promise<unknown>): Held | undefined {
  const { promise, resolve } = Promise.withResolvers<void>();
  const ended = admission.admit(() => (wait === undefined ? promise : wait(promise)));
  return ended === undefined ? undefined : { end: resolve, ended };
}

function fill(admission: Admission): Held[] {
  const held: Held[] = [];
  for (let next = hold(admission); next !== undefined; next = hold(admission)) held.push(next);
  return held;
}

async function empty(held: readonly Held[]): Promise<void> {
  for (const { end } of held) end();
  await Promise.all(held.map(({ ended }) => ended));
}

test('as many run as there are places, the next is not run at all, and each that ends makes room for one', async () => {
  const counts: number[] = [];
  const shed: ShedReason[] = [];
  const admission = createAdmission({
    inProgressMax: 3,
    onChange: (count) => counts.push(count),
    onShed: (reason) => shed.push(reason),
  });
  const held = fill(admission);
  expect([held.length, shed]).toEqual([3, ['full']]);
  await empty(held.splice(0, 1));
  held.push(...fill(admission));
  expect([held.length, shed]).toEqual([3, ['full', 'full']]);
  await empty(held);
  expect(counts).toEqual([1, 2, 3, 2, 3, 2, 1, 0]);
});

test('a request that fails leaves its place too', async () => {
  const admission = createAdmission({ inProgressMax: 1 });
  await expect(admission.admit(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(fill(admission)).toHaveLength(1);
});

test('what waits for somebody else takes no place, once per request however many it waits for', async () => {
  const counts: number[] = [];
  const admission = createAdmission({ inProgressMax: 2, onChange: (count) => counts.push(count) });
  const waiting = Array.from({ length: 5 }, () =>
    hold(admission, (until) => Promise.all([admission.withoutSlot(() => until), admission.withoutSlot(() => until)])),
  );
  expect(waiting).not.toContain(undefined);
  const held = fill(admission);
  expect(held).toHaveLength(2);
  await empty(held);
  await empty(waiting.filter((each) => each !== undefined));
  expect(counts.at(-1)).toBe(0);
  expect(Math.max(...counts)).toBeLessThanOrEqual(5);
  expect(Math.min(...counts)).toBe(0);
  await empty(fill(admission));
});

test('what goes on after the answer, and what no request asked for, is not counted', async () => {
  const counts: number[] = [];
  const admission = createAdmission({ inProgressMax: 2, onChange: (count) => counts.push(count) });
  const { promise, resolve } = Promise.withResolvers<void>();
  let background: Promise<void> | undefined;
  await admission.admit(async () => {
    background = admission.withoutSlot(() => promise);
  });
  await admission.withoutSlot(() => Promise.resolve());
  resolve();
  await background;
  expect(counts).toEqual([1, 0]);
});

test('an event loop that stays late leaves fewer places, an eighth at least, and gives them back when it is on time', async () => {
  const shed: ShedReason[] = [];
  const admission = createAdmission({ inProgressMax: 256, onShed: (reason) => shed.push(reason) });
  const room = async (): Promise<number> => {
    const held = fill(admission);
    await empty(held);
    return held.length;
  };
  for (const delayMs of [51, 51, 3, 51, 51, 50]) admission.noteLoopDelay(delayMs);
  expect(await room()).toBe(256);
  for (let sample = 0; sample < 3; sample++) admission.noteLoopDelay(51);
  expect(await room()).toBe(192);
  expect(shed).toEqual(['full', 'late']);
  for (let sample = 0; sample < 100; sample++) admission.noteLoopDelay(500);
  expect(await room()).toBe(32);
  for (let sample = 0; sample < 14; sample++) admission.noteLoopDelay(0);
  expect(await room()).toBe(256);
});

test('a small number of places stays as it is however late the event loop is', () => {
  const admission = createAdmission({ inProgressMax: 20 });
  for (let sample = 0; sample < 100; sample++) admission.noteLoopDelay(500);
  expect(fill(admission)).toHaveLength(16);
});

test('those that are refused are told five different times', () => {
  const admission = createAdmission({ inProgressMax: 1 });
  fill(admission);
  const waits = Array.from({ length: 10 }, () => {
    expect(hold(admission)).toBeUndefined();
    return admission.nextRetryAfterSeconds();
  });
  expect(new Set(waits)).toEqual(new Set([1, 2, 3, 4, 5]));
});

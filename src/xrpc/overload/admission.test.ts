import { expect, test } from 'vitest';
import { runInContext } from '#platform/request-context.ts';
import { createAdmission } from './admission.ts';
import type { Admission, ShedReason } from './admission.ts';

interface RunningRequest {
  readonly end: () => void;
  readonly ended: Promise<unknown>;
}

function startRequest(
  admission: Admission,
  wait?: (until: Promise<void>) => Promise<unknown>,
): RunningRequest | undefined {
  const { promise, resolve } = Promise.withResolvers<void>();
  const slot = admission.takeSlot();
  if (slot === undefined) return undefined;
  const run = (): Promise<unknown> => (wait === undefined ? promise : wait(promise));
  return { end: resolve, ended: runInContext({ slot }, run).finally(() => slot.release()) };
}

function fillSlots(admission: Admission): RunningRequest[] {
  const running: RunningRequest[] = [];
  for (let next = startRequest(admission); next !== undefined; next = startRequest(admission)) running.push(next);
  return running;
}

async function endAll(running: readonly RunningRequest[]): Promise<void> {
  for (const { end } of running) end();
  await Promise.all(running.map(({ ended }) => ended));
}

test('as many requests run as there are slots, the next does not run, and each that ends frees one slot', async () => {
  const shed: ShedReason[] = [];
  const admission = createAdmission({ inProgressMax: 3, onShed: (reason) => shed.push(reason) });
  const running = fillSlots(admission);
  expect([running.length, admission.inProgress(), shed]).toEqual([3, 3, ['full']]);
  await endAll(running.splice(0, 1));
  expect(admission.inProgress()).toBe(2);
  running.push(...fillSlots(admission));
  expect([running.length, admission.inProgress(), shed]).toEqual([3, 3, ['full', 'full']]);
  await endAll(running);
  expect(admission.inProgress()).toBe(0);
});

test('a request that waits for other machines has no slot, and is counted once however many it waits for', async () => {
  const admission = createAdmission({ inProgressMax: 2 });
  const waiting = Array.from({ length: 5 }, () =>
    startRequest(admission, (until) =>
      Promise.all([admission.withoutSlot(() => until), admission.withoutSlot(() => until)]),
    ),
  );
  expect(waiting).not.toContain(undefined);
  expect(admission.inProgress()).toBe(0);
  const running = fillSlots(admission);
  expect([running.length, admission.inProgress()]).toEqual([2, 2]);
  await endAll(running);
  await endAll(waiting.filter((each) => each !== undefined));
  expect(admission.inProgress()).toBe(0);
  expect(fillSlots(admission)).toHaveLength(2);
});

test('tasks that run longer than their request, and tasks without a request, are not counted', async () => {
  const admission = createAdmission({ inProgressMax: 2 });
  const { promise, resolve } = Promise.withResolvers<void>();
  let background: Promise<void> | undefined;
  await startRequest(admission, async () => {
    background = admission.withoutSlot(() => promise);
  })?.ended;
  expect(admission.inProgress()).toBe(0);
  await admission.withoutSlot(() => Promise.resolve());
  expect(admission.inProgress()).toBe(0);
  resolve();
  await background;
  expect(admission.inProgress()).toBe(0);
});

test('while the event loop stays late there are fewer slots, an eighth at least, and all of them again when it is on time', async () => {
  const shed: ShedReason[] = [];
  const admission = createAdmission({ inProgressMax: 256, onShed: (reason) => shed.push(reason) });
  const room = async (): Promise<number> => {
    const running = fillSlots(admission);
    await endAll(running);
    return running.length;
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

test('a small number of slots stays the same however late the event loop is', () => {
  const admission = createAdmission({ inProgressMax: 20 });
  for (let sample = 0; sample < 100; sample++) admission.noteLoopDelay(500);
  expect(fillSlots(admission)).toHaveLength(16);
});

test('refused requests get five different values of Retry-After', () => {
  const admission = createAdmission({ inProgressMax: 1 });
  fillSlots(admission);
  const waits = Array.from({ length: 10 }, () => {
    expect(startRequest(admission)).toBeUndefined();
    return admission.nextRetryAfterSeconds();
  });
  expect(new Set(waits)).toEqual(new Set([1, 2, 3, 4, 5]));
});

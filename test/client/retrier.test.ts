import { expect, test } from 'vitest';
import { createRetrier } from '#client/conversation/retrier.ts';
import type { Retrier } from '#client/conversation/retrier.ts';
import { eventually } from './eventually.ts';

function retrier(): { readonly retrier: Retrier; readonly errors: unknown[] } {
  const errors: unknown[] = [];
  const { signal } = new AbortController();
  return { retrier: createRetrier({ signal, onError: (error) => void errors.push(error) }), errors };
}

test('a task that is started while it fails for good runs once more', async () => {
  const { retrier: tested, errors } = retrier();
  const refused = new TypeError('refused');
  let runs = 0;
  const task = async (): Promise<void> => {
    runs += 1;
    if (runs > 1) return;
    tested.start('task', task, 0);
    throw refused;
  };
  tested.start('task', task, 0);
  await eventually(() => runs).toBe(2);
  expect(errors).toEqual([refused]);
});

test('a task that is started at any moment around its end runs once more', async () => {
  for (let turns = 0; turns < 20; turns += 1) {
    const { retrier: tested } = retrier();
    let runs = 0;
    const task = async (): Promise<void> => {
      runs += 1;
      if (runs === 1) void startAfter(turns);
    };
    const startAfter = async (left: number): Promise<void> => {
      for (let turn = 0; turn < left; turn += 1) await Promise.resolve();
      tested.start('task', task, 0);
    };
    tested.start('task', task, 0);
    await eventually(() => runs).toBe(2);
  }
});

import { inspect } from 'node:util';
import { onTestFailed, TestRunner } from 'vitest';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import type { StreamState } from '#client/stream/event-stream.ts';
import { systemClock } from '#platform/clock.ts';

/** What one device did, for the report of a failed test. */
export interface DeviceObserver {
  /** Sends requests and notes when they were sent and answered. */
  readonly fetch: typeof fetch;
  noteState(state: StreamState): void;
  noteEvent(event: ConversationEvent): void;
  noteError(error: unknown): void;
}

const linesMax = 60;

/** Observes a device. If the present test fails, what the device did is printed, each line with the time since the start in ms. */
export function observeDevice(did: string, send: typeof fetch): DeviceObserver {
  const startedMs = systemClock.monotonicMs();
  const lines: string[] = [];
  const waiting = new Set<string>();
  const note = (what: string): string => {
    const line = `${Math.round(systemClock.monotonicMs() - startedMs)} ${what}`;
    lines.push(line);
    if (lines.length > linesMax) lines.shift();
    return line;
  };
  // A hook opens the devices of some files.
  if (TestRunner.getCurrentTest() !== undefined) {
    onTestFailed(() => {
      note('the test has failed');
      console.error([`device of ${did}`, ...lines, 'requests without a response:', ...waiting].join('\n  '));
    });
  }
  return {
    async fetch(input, init) {
      const name = /mls\.(\w+)/.exec(input instanceof Request ? input.url : String(input))?.[1] ?? 'other';
      const line = note(`${name} sent`);
      waiting.add(line);
      try {
        const response = await send(input, init);
        note(`${name} answered with ${response.status}`);
        return response;
      } catch (error) {
        note(`${name} failed: ${inspect(error, { depth: 1 })}`);
        throw error;
      } finally {
        waiting.delete(line);
      }
    },
    noteState: (state) => void note(`stream ${state}`),
    noteEvent: (event) => void note(`event ${inspect(event, { breakLength: Infinity, maxArrayLength: 4 })}`),
    noteError: (error) => void note(`error ${inspect(error, { depth: 1 })}`),
  };
}

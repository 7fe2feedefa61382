import type { Side } from '../load/side.ts';

/** A measurement of this tree alone with figures of its own, which has no rounds and runs only when it is named. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  measure(side: Side): Promise<Readonly<Record<string, number>>>;
}

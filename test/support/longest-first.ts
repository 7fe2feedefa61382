import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** The files that take longest, also where vitest does not count it: it leaves out `beforeAll`, and knows nothing in a new clone. */
const longest = [
  'test/workers/kills.test.ts',
  'test/foreign/foreign-clients.test.ts',
  'test/workers/intervals.test.ts',
  'test/chat/conversations.test.ts',
  'test/chat/page.test.ts',
  'test/fuzz/hostile-fields.test.ts',
  'test/privacy/data-folder.test.ts',
  'test/end-to-end/faults/database-faults.test.ts',
  'test/fuzz/methods.test.ts',
  'test/end-to-end/normal-day.test.ts',
  'test/workers/schedules.test.ts',
];

/** Starts long files first, so that no processor is idle while the last of them runs. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = longest.findIndex((path) => moduleId.endsWith(path));
      return found === -1 ? longest.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

import { measureCompaction } from './compaction.ts';
import type { Removal } from './compaction.ts';
import { history } from './history.ts';
import { measureOverload } from './overload.ts';
import type { Scenario } from './scenario.ts';

const expiredRows = 1_000_000;
const unexpiredRows = 200_000;

const overload: Scenario = {
  name: 'overload',
  title: 'Sends at three times the peak rate',
  async measure({ server, conversations, plan }) {
    return { ...(await measureOverload(server, conversations, plan.overload)) };
  },
};

const compaction: Scenario = {
  name: 'compaction',
  title: `Removal of ${expiredRows} expired messages while clients send, and the same by DELETE`,
  async measure({ server, conversations }) {
    const plan = { expiredRows, unexpiredRows, deletedRows: expiredRows };
    const removals = await measureCompaction(server, conversations, plan);
    return {
      ...named('compaction', removals.compaction),
      ...(removals.deletion && named('deletion', removals.deletion)),
    };
  },
};

export const scenarios: readonly Scenario[] = [history, overload, compaction];

function named(prefix: string, removal: Removal): Record<string, number> {
  return Object.fromEntries(Object.entries(removal).map(([name, value]) => [`${prefix}.${name}`, Number(value)]));
}

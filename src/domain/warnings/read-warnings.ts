import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { selectWarnings } from './store.ts';
import type { Warning } from './warning.ts';

export interface WarningPosition {
  readonly groupId: Buffer;
  readonly eventNo: number;
}

/** The warnings at these positions, by `warningKey`, without expired ones. */
export async function readWarnings(
  deps: { sql: Sql; privacy: Privacy },
  positions: readonly WarningPosition[],
): Promise<ReadonlyMap<string, Warning>> {
  const rows = await selectWarnings(deps.sql, {
    groupIds: positions.map(({ groupId }) => groupId),
    eventNos: positions.map(({ eventNo }) => eventNo),
  });
  return new Map(
    rows.map((row) => {
      const text = deps.privacy.unsealText('warning', [row.groupId, row.eventNo], row.sealedWarning);
      // Sealed to its row by `warnMember`, so it has that type.
      return [warningKey(row), JSON.parse(text) as Warning];
    }),
  );
}

export function warningKey({ groupId, eventNo }: WarningPosition): string {
  return `${groupId.toString('hex')} ${eventNo}`;
}

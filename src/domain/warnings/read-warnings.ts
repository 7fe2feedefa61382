import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { selectWarnings } from './store.ts';
import type { Warning } from './warning.ts';

export interface WarningPosition {
  readonly groupId: Buffer;
  readonly eventNo: number;
}

/** Reads the warnings at these positions that have not expired. @returns the warnings by `warningKey`. */
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
      // `warnMember` sealed the text for this row, so it contains a `Warning`.
      return [warningKey(row), JSON.parse(text) as Warning];
    }),
  );
}

export function warningKey({ groupId, eventNo }: WarningPosition): string {
  return `${groupId.toString('hex')} ${eventNo}`;
}

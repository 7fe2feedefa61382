/**
 * Numbers that the database stores for the categories of reports. Category names that are not in this list count as
 * `other`.
 */
export const categories = {
  harassment: 1,
  spam: 2,
  hate_speech: 3,
  violence: 4,
  sexual_content: 5,
  impersonation: 6,
  privacy_violation: 7,
  other: 8,
} as const;
export type Category = keyof typeof categories;

export const reportStates = { pending: 1, resolved: 2, dismissed: 3 } as const;
export type ReportState = keyof typeof reportStates;

/** The two people of a report. They are sealed together, so that the row identifies neither of them. */
export interface ReportParties {
  readonly reporter: string;
  readonly reported: string;
}

/** What the reporter submitted, which the row stores as one sealed value. */
export interface ReportContent {
  readonly category: string;
  /** The details of the report, which the reporter's client encrypted for the admins. */
  readonly encrypted: Uint8Array;
  readonly messageIds: readonly string[];
}

export interface ReportResolution {
  readonly by: string;
  readonly action: string;
  readonly notes: string | null;
}

/** A report as an admin or moderator sees it. */
export interface Report {
  readonly id: string;
  readonly parties: ReportParties;
  readonly content: ReportContent;
  readonly state: ReportState;
  readonly submittedAt: Date;
  readonly resolution: ReportResolution | undefined;
  readonly resolvedAt: Date | undefined;
}

export function categoryNumber(name: string): number {
  return Object.hasOwn(categories, name) ? categories[name as Category] : categories.other;
}

export function stateName(state: number): ReportState {
  if (state === reportStates.pending) return 'pending';
  return state === reportStates.dismissed ? 'dismissed' : 'resolved';
}

/** Work that comes round by the clock. A job's payload is always empty: the queue stores and shows what it is given. */
export interface JobRow {
  /** Cron pattern (minute hour day month weekday) in UTC. */
  readonly schedule: string;
  /** Further attempts after a failed one, a minute apart at first. */
  readonly retries: number;
  readonly timeoutMs: number;
  /** What it reads and removes. */
  readonly touches: string;
}

/** Every job; `workers/<job>.ts` does it. */
export const jobs = {
  'compact-events': {
    schedule: '7 * * * *',
    retries: 2,
    timeoutMs: 600_000,
    touches:
      'Drops partitions of messages and events past their retention, and makes those of the days to come; removes expired Welcomes, reports, warnings and chat requests.',
  },
  'clean-key-packages': {
    schedule: '*/30 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches:
      'Removes key packages that expired, were consumed a day ago, or exceed MAX_KEY_PACKAGES_PER_DEVICE; and what new devices waited for, after 30 days.',
  },
} as const satisfies Record<string, JobRow>;

export type JobName = keyof typeof jobs;

// Every key of the table is a JobName by its definition.
export const jobNames = Object.keys(jobs) as readonly JobName[];

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(jobs, name);
}

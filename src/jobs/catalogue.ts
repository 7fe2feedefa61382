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
  'compact-messages': {
    schedule: '7 * * * *',
    retries: 2,
    timeoutMs: 600_000,
    touches: 'Drops partitions of messages past MESSAGE_TTL_DAYS, and makes those of the days to come.',
  },
  'compact-events': {
    schedule: '8 * * * *',
    retries: 2,
    timeoutMs: 600_000,
    touches: 'Drops partitions of events past EVENT_STREAM_TTL_DAYS, and makes those of the days to come.',
  },
  'clean-key-packages': {
    schedule: '*/30 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches:
      'Removes key packages past KEY_PACKAGE_TTL_DAYS or their own lifetime, those consumed CONSUMED_KEY_PACKAGE_TTL_HOURS ago, and those above MAX_KEY_PACKAGES_PER_DEVICE.',
  },
  'retire-devices': {
    schedule: '15 4 * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches:
      'Flags devices that were not seen for DEVICE_INACTIVE_DAYS; removes those flagged for DEVICE_REMOVAL_DAYS, with their key packages.',
  },
  'watch-key-packages': {
    schedule: '*/15 * * * *',
    retries: 0,
    timeoutMs: 30_000,
    touches: 'Makes the servers tell connected people which of their devices are low on key packages. Removes nothing.',
  },
  'clean-welcomes': {
    schedule: '17 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches: 'Removes Welcomes consumed WELCOME_TTL_DAYS ago, and those that no key package can open any more.',
  },
  'clean-invites': {
    schedule: '27 3 * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches: 'Removes invites that ended INVITE_TTL_DAYS ago.',
  },
  'clean-chat-requests': {
    schedule: '37 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches: 'Removes held messages that nobody can fetch any more, and chat requests past their time.',
  },
  'clean-device-additions': {
    schedule: '47 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches: 'Removes what devices waited for over 30 days, and claims of days that are over.',
  },
  'clean-replay-entries': {
    schedule: '*/5 * * * *',
    retries: 2,
    timeoutMs: 120_000,
    touches:
      'Removes the marks of used tokens and tickets that have expired, and counts of requests that no longer count.',
  },
  'clean-idempotency-keys': {
    schedule: '*/10 * * * *',
    retries: 2,
    timeoutMs: 120_000,
    touches: 'Removes answers that nobody can be given any more.',
  },
  'clean-reports': {
    schedule: '57 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches: 'Removes reports and counts of removals past REPORT_TTL_DAYS, and expired warnings.',
  },
  'clean-audit-events': {
    schedule: '5 4 * * *',
    retries: 2,
    timeoutMs: 300_000,
    touches: 'Removes counts and operator actions of the audit log past AUDIT_TTL_DAYS.',
  },
} as const satisfies Record<string, JobRow>;

/** Names of jobs that former releases had; their schedules are removed. */
export const retiredJobs: readonly string[] = ['watch-key-package-stock'];

export type JobName = keyof typeof jobs;

// Every key of the table is a JobName by its definition.
export const jobNames = Object.keys(jobs) as readonly JobName[];

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(jobs, name);
}

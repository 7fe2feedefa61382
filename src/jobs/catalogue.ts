/**
 * The schedule and the limits of a job. The payload of every job is empty, because the queue stores and shows payloads.
 */
export interface JobRow {
  /** Cron pattern (minute hour day month weekday) in UTC. */
  readonly schedule: string;
  /** How many times a failed run is tried again; the first retry follows after a minute. */
  readonly retries: number;
  readonly timeoutMs: number;
  /** States for operators what the job removes or changes. */
  readonly description: string;
}

/** All scheduled jobs. `workers/<job>.ts` implements the job with that name. */
export const jobs = {
  'compact-messages': {
    schedule: '7 * * * *',
    retries: 2,
    timeoutMs: 600_000,
    description: 'Drops partitions of messages past MESSAGE_TTL_DAYS, and creates those of the coming days.',
  },
  'compact-events': {
    schedule: '8 * * * *',
    retries: 2,
    timeoutMs: 600_000,
    description: 'Drops partitions of events past EVENT_STREAM_TTL_DAYS, and creates those of the coming days.',
  },
  'clean-key-packages': {
    schedule: '*/30 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    description:
      'Removes key packages past KEY_PACKAGE_TTL_DAYS or their own lifetime, those consumed CONSUMED_KEY_PACKAGE_TTL_HOURS ago, and those above MAX_KEY_PACKAGES_PER_DEVICE.',
  },
  'retire-devices': {
    schedule: '15 4 * * *',
    retries: 2,
    timeoutMs: 300_000,
    description:
      'Flags devices that were not seen for DEVICE_INACTIVE_DAYS; removes those flagged for DEVICE_REMOVAL_DAYS, with their key packages.',
  },
  'watch-key-packages': {
    schedule: '*/15 * * * *',
    retries: 0,
    timeoutMs: 30_000,
    description: 'Makes the servers notify connected people whose devices are low on key packages. Removes nothing.',
  },
  'clean-welcomes': {
    schedule: '17 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    description: 'Removes Welcomes consumed WELCOME_TTL_DAYS ago, and those that no key package can open any more.',
  },
  'clean-invites': {
    schedule: '27 3 * * *',
    retries: 2,
    timeoutMs: 300_000,
    description: 'Removes invites that ended INVITE_TTL_DAYS ago.',
  },
  'clean-chat-requests': {
    schedule: '37 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    description: 'Removes messages of accepted chat requests that can no longer be fetched, and expired chat requests.',
  },
  'clean-device-additions': {
    schedule: '47 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    description:
      'Removes lists of conversations that devices waited for over DEVICE_WAIT_DAYS, and claims of past days.',
  },
  'clean-replay-entries': {
    schedule: '*/5 * * * *',
    retries: 2,
    timeoutMs: 120_000,
    description: 'Removes digests of expired tokens and tickets, and counts of requests that no longer count.',
  },
  'clean-idempotency-keys': {
    schedule: '*/10 * * * *',
    retries: 2,
    timeoutMs: 120_000,
    description: 'Removes responses whose idempotency keys have expired.',
  },
  'clean-reports': {
    schedule: '57 * * * *',
    retries: 2,
    timeoutMs: 300_000,
    description: 'Removes reports and counts of removals past REPORT_TTL_DAYS, and expired warnings.',
  },
  'clean-audit-events': {
    schedule: '5 4 * * *',
    retries: 2,
    timeoutMs: 300_000,
    description: 'Removes counts and operator actions of the audit log past AUDIT_TTL_DAYS.',
  },
} as const satisfies Record<string, JobRow>;

/** Jobs that only previous releases had. Workers remove their schedules from the queue. */
export const retiredJobs: readonly string[] = ['watch-key-package-stock'];

export type JobName = keyof typeof jobs;

export const jobNames = Object.keys(jobs) as readonly JobName[];

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(jobs, name);
}

import { readdir, readFile } from 'node:fs/promises';

/** What the operating system has counted for a process since it started. Linux only. */
export interface ProcessCost {
  /** CPU time of all threads, in user and kernel mode, in microseconds. */
  readonly cpuMicroseconds: number;
  /** Resident memory in bytes, without pages that Postgres shares among its processes. */
  readonly memorySizeBytes: number;
}

/** One clock tick of /proc is 10 ms on every Linux that Node runs on (USER_HZ). */
const tickMicroseconds = 10_000;

/** Reads the cost of `pid` and of its child processes, both running and ended. Without /proc every figure is 0. */
export async function costOfTree(pid: number): Promise<ProcessCost> {
  const pids = (await readdir('/proc').catch(() => [])).map(Number).filter((each) => each > 0);
  const processes = await Promise.all(pids.map(statOf));
  const costs = await Promise.all(
    processes.flatMap((each) =>
      each !== undefined && (each.pid === pid || each.parentPid === pid) ? [costOf(each)] : [],
    ),
  );
  return costs.reduce(
    (sum, cost) => ({
      cpuMicroseconds: sum.cpuMicroseconds + cost.cpuMicroseconds,
      memorySizeBytes: sum.memorySizeBytes + cost.memorySizeBytes,
    }),
    { cpuMicroseconds: 0, memorySizeBytes: 0 },
  );
}

/** Returns the process that started `pid`. */
export async function parentOf(pid: number): Promise<number | undefined> {
  return (await statOf(pid))?.parentPid;
}

interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  readonly cpuMicroseconds: number;
}

/** Reads /proc/<pid>/stat. The CPU time is utime and stime, and cutime and cstime of children that ended. */
async function statOf(pid: number): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The command before the last parenthesis may contain spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid, parentPid: Number(fields[1]), cpuMicroseconds: ticks * tickMicroseconds };
}

async function costOf({ pid, cpuMicroseconds }: ProcessStat): Promise<ProcessCost> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kibOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { cpuMicroseconds, memorySizeBytes: (kibOf('RssAnon') + kibOf('RssFile')) * 1_024 };
}

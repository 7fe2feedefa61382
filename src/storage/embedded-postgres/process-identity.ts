import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Identifies a running process. Process ids are reused, but an id together with `startMark` is unique. */
export interface ProcessIdentity {
  readonly startMark: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
}

/** Identifies the process `pid`. @returns undefined when the process has ended or is a zombie. */
export function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

async function fromProc(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const [stat, commandLine, bootId] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'latin1'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'latin1'),
    ]);
    // The program's name is in parentheses and may contain any character, so fields are counted after the last
    // parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
    return { startMark: `${bootId.trim()}/${startTicks}`, command: commandLine.split('\0') };
  } catch {
    return undefined;
  }
}

async function fromPs(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'stat=,lstart=,command=', '-p', String(pid)]);
    const match = /^\s*(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/m.exec(stdout);
    if (match === null || match[1]?.startsWith('Z')) return undefined;
    return { startMark: match[2] ?? '', command: (match[3] ?? '').split(' ') };
  } catch {
    return undefined;
  }
}

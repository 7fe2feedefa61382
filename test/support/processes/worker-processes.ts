import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Sql } from '#storage/connection/database.ts';
import { childEnvironment } from './child-environment.ts';

/** Whether faketime is installed, which gives a process a wrong clock; the tests that need it are skipped otherwise. */
export const hasFaketime = isInstalled();

function isInstalled(): boolean {
  try {
    execFileSync('faketime', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The script of a worker process. */
const workerScript = join(import.meta.dirname, 'worker-child.ts');

/** Worker processes on one database. Each runs every job every second, or by the pattern in SCHEDULE. */
export class WorkerProcesses {
  readonly #running = new Set<ChildProcess>();
  readonly #env: Readonly<Record<string, string>>;
  readonly #script: string;

  constructor(env: Readonly<Record<string, string>>, script: string = workerScript) {
    this.#env = env;
    this.#script = script;
  }

  get running(): readonly ChildProcess[] {
    return [...this.#running];
  }

  /** Starts a worker and resolves when it is ready. `clockOffset` is an offset in faketime's syntax, for example `+24h`. */
  async start(clockOffset?: string): Promise<void> {
    const script = [process.execPath, this.#script];
    const [program = '', ...args] = clockOffset === undefined ? script : ['faketime', '-f', clockOffset, ...script];
    const env = { ...childEnvironment, ...this.#env };
    // A new process group, because faketime runs the worker as its child.
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    this.#running.add(child);
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  }

  async kill(child: ChildProcess): Promise<void> {
    this.#running.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await exited;
  }

  async killAll(): Promise<void> {
    await Promise.all(this.running.map((child) => this.kill(child)));
  }
}

/** Makes the database record every successful run of a job in a table `turns_done`. */
export async function recordRuns(sql: Sql): Promise<void> {
  await sql.unsafe(`
    CREATE TABLE turns_done (job text, turn_at timestamptz, at timestamptz DEFAULT clock_timestamp());
    CREATE FUNCTION note_turn() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.succeeded_at IS DISTINCT FROM OLD.succeeded_at THEN
        INSERT INTO turns_done (job, turn_at) VALUES (NEW.job, NEW.turn_at);
      END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER note_turn AFTER UPDATE ON job_turns FOR EACH ROW EXECUTE FUNCTION note_turn()`);
}

/** Returns the number of recorded runs of each job, and the number of different leases among them. */
export async function recordedRuns(sql: Sql): Promise<{ job: string; count: number; turns: number }[]> {
  return sql<{ job: string; count: number; turns: number }[]>`
    SELECT job, count(*), count(DISTINCT turn_at) AS turns FROM turns_done GROUP BY job ORDER BY job`;
}

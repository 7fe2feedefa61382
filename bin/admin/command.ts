import { describeError } from '#platform/logging/logger.ts';
import { exitCodeOf, operatorMessage } from '#ops/operator-message.ts';
import { JobFailedError, JobNotRunError } from '../../workers/start-worker.ts';

/** A fault of the operator's: the message says what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Runs the task of one admin command; on failure prints what to do, or where in the code it arose, and sets the exit code. */
export async function command(task: () => Promise<void> | void): Promise<void> {
  try {
    await task();
  } catch (error) {
    const isExpected = [UsageError, JobFailedError, JobNotRunError].some((expected) => error instanceof expected);
    console.error(isExpected ? (error as Error).message : (operatorMessage(error) ?? describeError(error)));
    process.exitCode = isExpected ? 1 : exitCodeOf(error);
  }
}

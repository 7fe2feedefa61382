import { currentRequest, runForRequests, runOutsideRequest, waitForDatabase } from './request-deadline.ts';
import type { RequestDeadline } from './request-deadline.ts';

const questionsPerBatchMax = 1_000;

/**
 * Answers questions together: one batch runs at a time, and what is asked meanwhile goes into the next one.
 * Waiting counts as a wait for the database; who was given up meanwhile is asked for no more.
 * `answerAll` gives one answer for each question, in their order; when it throws, every question of the batch gets the error.
 */
export function createBatcher<Question, Answer>(
  answerAll: (questions: readonly Question[]) => Promise<readonly Answer[]>,
): (question: Question) => Promise<Answer | undefined> {
  interface Waiting {
    readonly question: Question;
    readonly answer: (answer: Answer | undefined) => void;
    readonly fail: (error: unknown) => void;
    readonly request: RequestDeadline | undefined;
  }
  const waiting: Waiting[] = [];
  let isRunning = false;

  async function drain(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, questionsPerBatchMax).filter(({ request }) => request?.isExpired !== true);
      if (batch.length === 0) continue;
      try {
        const answers = await runForRequests(
          batch.map(({ request }) => request),
          () => answerAll(batch.map(({ question }) => question)),
        );
        for (const [index, { answer }] of batch.entries()) answer(answers[index]);
      } catch (error) {
        for (const { fail } of batch) fail(error);
      }
    }
    isRunning = false;
  }

  return (question) => {
    const request = currentRequest();
    return waitForDatabase(
      () =>
        new Promise((answer, fail) => {
          waiting.push({ question, answer, fail, request });
          if (!isRunning) runOutsideRequest(() => void drain());
        }),
    );
  };
}

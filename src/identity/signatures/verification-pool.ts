import { Worker } from 'node:worker_threads';
import type { VerifyDigest } from './native-secp256k1.ts';
import { recordSizeBytes } from './verification-record.ts';
import type { VerificationBatch } from './verification-record.ts';

/** Checks signatures off the main thread, where a check would cost a fifth of a request's time. */
export type VerifyLater = (digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => Promise<boolean>;

interface Job {
  readonly record: Buffer;
  readonly parts: readonly [Uint8Array, Uint8Array, Uint8Array];
  readonly resolve: (isRight: boolean) => void;
}

const ownThreadUrl = new URL('./verification-thread.ts', import.meta.url);

/**
 * A thread that is started with the first check and does not keep the process alive. Checks of one turn of the event loop
 * travel together. Should the thread die, `verifyHere` does what is left and all that follows.
 */
export function createVerificationPool(verifyHere: VerifyDigest, threadUrl: URL = ownThreadUrl): VerifyLater {
  const underWay = new Map<number, readonly Job[]>();
  let waiting: Job[] = [];
  let thread: Worker | 'dead' | undefined;
  let batches = 0;

  function answer(job: Job): void {
    job.resolve(verifyHere(...job.parts));
  }

  function start(): Worker {
    const worker = new Worker(threadUrl);
    worker.unref();
    worker.on('message', ({ id, bytes }: VerificationBatch) => {
      underWay.get(id)?.forEach((job, index) => job.resolve(bytes[index] === 1));
      underWay.delete(id);
    });
    const end = (): void => {
      thread = 'dead';
      for (const job of [...underWay.values()].flat()) answer(job);
      underWay.clear();
    };
    worker.on('error', end).on('exit', end);
    return worker;
  }

  function send(): void {
    const jobs = waiting;
    waiting = [];
    thread ??= start();
    if (thread === 'dead') {
      jobs.forEach(answer);
      return;
    }
    const id = batches++;
    const bytes = new Uint8Array(jobs.length * recordSizeBytes);
    jobs.forEach((job, index) => bytes.set(job.record, index * recordSizeBytes));
    underWay.set(id, jobs);
    thread.postMessage({ id, bytes } satisfies VerificationBatch, [bytes.buffer]);
  }

  return (...parts) =>
    new Promise((resolve) => {
      if (waiting.length === 0) setImmediate(send);
      waiting.push({ record: Buffer.concat(parts, recordSizeBytes), parts, resolve });
    });
}

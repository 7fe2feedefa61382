import type { Worker } from 'node:worker_threads';
import { startThread } from '#platform/process/compile-cache.ts';
import type { VerifyDigest } from './native-secp256k1.ts';
import { recordSizeBytes } from './verification-record.ts';
import type { VerificationBatch } from './verification-record.ts';

/** Checks a signature on another thread, because a check takes a fifth of a request's CPU time. */
export type VerifyLater = (digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => Promise<boolean>;

interface Job {
  readonly record: Buffer;
  readonly parts: readonly [Uint8Array, Uint8Array, Uint8Array];
  readonly resolve: (isValid: boolean) => void;
}

const ownThreadUrl = new URL('./verification-thread.ts', import.meta.url);

/**
 * Creates a pool of one thread, which the first check starts and which does not keep the process alive. Checks of one
 * iteration of the event loop are sent as one batch. If the thread dies, `verifyHere` does the pending and all later
 * checks.
 */
export function createVerificationPool(verifyHere: VerifyDigest, threadUrl: URL = ownThreadUrl): VerifyLater {
  const sent = new Map<number, readonly Job[]>();
  let waiting: Job[] = [];
  let thread: Worker | 'dead' | undefined;
  let batches = 0;

  function checkHere(job: Job): void {
    job.resolve(verifyHere(...job.parts));
  }

  function start(): Worker {
    const worker = startThread(threadUrl);
    worker.unref();
    worker.on('message', ({ id, bytes }: VerificationBatch) => {
      sent.get(id)?.forEach((job, index) => job.resolve(bytes[index] === 1));
      sent.delete(id);
    });
    const end = (): void => {
      thread = 'dead';
      for (const job of [...sent.values()].flat()) checkHere(job);
      sent.clear();
    };
    worker.on('error', end).on('exit', end);
    return worker;
  }

  function send(): void {
    const jobs = waiting;
    waiting = [];
    thread ??= start();
    if (thread === 'dead') {
      jobs.forEach(checkHere);
      return;
    }
    const id = batches++;
    const bytes = new Uint8Array(jobs.length * recordSizeBytes);
    jobs.forEach((job, index) => bytes.set(job.record, index * recordSizeBytes));
    sent.set(id, jobs);
    thread.postMessage({ id, bytes } satisfies VerificationBatch, [bytes.buffer]);
  }

  return (...parts) =>
    new Promise((resolve) => {
      if (waiting.length === 0) setImmediate(send);
      waiting.push({ record: Buffer.concat(parts, recordSizeBytes), parts, resolve });
    });
}

import { decodeMlsMessage } from 'ts-mls';
import { ByteReader } from '#mls/encoding/byte-reader.ts';
import { readGroupMessage, readCommit } from '#mls/messages/framing.ts';
import { readGroupInfo } from '#mls/group-info/group-info.ts';
import { checkKeyPackage } from '#mls/key-packages/key-package.ts';
import { readKeyPackageStructure } from '#mls/key-packages/key-package-structure.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { readMlsMessage } from '#mls/messages/mls-message.ts';
import { readPaddedMessage } from '#mls/encoding/padding-envelope.ts';
import { readWelcome } from '#mls/messages/welcome.ts';
import { isAppError } from '#platform/errors.ts';
import { createMutator } from './mutate-bytes.ts';
import { makeMlsSeeds } from './mls-seeds.ts';

export interface FramingOptions {
  readonly seed: number;
  readonly count: number;
  readonly onProgress?: { readonly every: number; readonly call: () => void };
  /** Parsers to test in addition to those of the project. */
  readonly moreReaders?: Readonly<Record<string, Reader>>;
}

export interface FramingReport {
  readonly inputs: number;
  /** Number of inputs that each parser accepted. */
  readonly accepted: Readonly<Record<string, number>>;
  /** Number of inputs accepted by readMlsMessage that were also given to ts-mls, and those that ts-mls refused, by its reason. */
  readonly compared: number;
  readonly unreadByTsMls: Readonly<Record<string, number>>;
  readonly slowestMicroseconds: number;
  readonly slowestReader: string;
  readonly longestInputBytes: number;
  readonly violations: readonly string[];
}

/** Parses `bytes` and returns the result, whose byte arrays must be views on the input. */
export type Reader = (bytes: Uint8Array) => unknown;

const expected = { groupId: Buffer.alloc(32, 1), epoch: 1 };

const readers: Readonly<Record<string, Reader>> = {
  readMlsMessage,
  readCommit,
  readWelcome,
  readGroupInfo,
  readPaddedMessage,
  readGroupMessage: (bytes) => readGroupMessage(bytes, expected),
  readKeyPackageStructure: (bytes) => readKeyPackageStructure(new ByteReader(bytes)),
};

/** Time limit for parsing 64 KiB. */
const microsecondsMax = 1_000;
/** A call that takes longer is timed again, to exclude the effects of a busy machine and of garbage collection. */
const microsecondsOfInterest = 200;
const retimes = 5;
/** Only every 50th input, because signature checks take 100 times as long as parsing. */
const keyPackageEvery = 50;
const compareEvery = 5;
const violationsMax = 20;
/** Bytes around the input, which must not affect the result. */
const surroundings = [0x00, 0x01, 0x40, 0xff];

/**
 * Passes `count` mutated MLS structures to every parser. A parser must throw only MlsFormatErrors, must not read outside its input, and
 * must take at most 1 ms.
 */
export async function fuzzFraming(options: FramingOptions): Promise<FramingReport> {
  const run = new FramingRun({ ...readers, ...options.moreReaders });
  const mutate = createMutator(await makeMlsSeeds(), options.seed);
  const { stackTraceLimit } = Error;
  // Almost every call throws, and most of its time would be spent on a stack trace that is not used.
  Error.stackTraceLimit = 0;
  try {
    for (let index = 0; index < options.count; index++) {
      const input = mutate();
      run.try(input, index);
      if (index % keyPackageEvery === 0) await run.tryKeyPackage(input);
      if (options.onProgress !== undefined && index % options.onProgress.every === 0) options.onProgress.call();
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return run.report(options.count);
}

class FramingRun {
  readonly #readers: readonly (readonly [string, Reader])[];
  readonly #accepted: Record<string, number> = {};
  readonly #violations: string[] = [];
  #slowest = { microseconds: 0, reader: '' };
  #longest = 0;
  #compared = 0;
  readonly #unread: Record<string, number> = {};

  constructor(all: Readonly<Record<string, Reader>>) {
    this.#readers = Object.entries(all);
  }

  try(input: Uint8Array, index: number): void {
    this.#longest = Math.max(this.#longest, input.length);
    const [fill = 0, otherFill = 0] = [surroundings[index % 4], surroundings[(index + 1) % 4]];
    const [placed, elsewhere] = [placeAmid(input, fill), placeAmid(input, otherFill)];
    for (const [name, read] of this.#readers) {
      const startedMs = performance.now();
      const outcome = outcomeOf(read, placed);
      this.#time(name, read, placed, (performance.now() - startedMs) * 1_000);
      if (outcome.kind === 'broke') this.#violate(`${name} threw ${outcome.what}`, input);
      if (outcome.kind === 'read') {
        this.#accepted[name] = (this.#accepted[name] ?? 0) + 1;
        if (!staysInside(outcome.value, placed)) this.#violate(`${name} returned bytes from outside its input`, input);
      }
      if (outcome.kind !== outcomeOf(read, elsewhere).kind)
        this.#violate(`${name} read bytes outside its input`, input);
    }
    if (index % compareEvery === 0) this.#compare(input);
  }

  async tryKeyPackage(input: Uint8Array): Promise<void> {
    try {
      const identity = 'did:plc:joiner0';
      await checkKeyPackage(input, { cipherSuite: 1, identity, nowMs: Date.now(), lifetimeMsMax: 86_400_000 });
      this.#accepted['checkKeyPackage'] = (this.#accepted['checkKeyPackage'] ?? 0) + 1;
    } catch (error) {
      const isRefusal = isAppError(error) && /^Invalid(KeyPackage|CipherSuite)$/.test(error.code);
      if (!isRefusal) this.#violate(`checkKeyPackage threw ${String(error)}`, input);
    }
  }

  /** Checks that ts-mls can read an accepted input too, except for suites and credentials that it does not support. */
  #compare(input: Uint8Array): void {
    if (outcomeOf(readMlsMessage, input).kind !== 'read') return;
    this.#compared++;
    try {
      const theirs = decodeMlsMessage(input, 0);
      if (theirs === undefined) this.#countUnread('no reason');
      else if (theirs[1] !== input.length) this.#violate('readMlsMessage took bytes that ts-mls leaves over', input);
    } catch (error) {
      this.#countUnread(String(error));
    }
  }

  #countUnread(reason: string): void {
    this.#unread[reason] = (this.#unread[reason] ?? 0) + 1;
  }

  #time(reader: string, read: Reader, input: Uint8Array, measured: number): void {
    let microseconds = measured;
    for (let again = 0; again < retimes && microseconds > microsecondsOfInterest; again++) {
      const startedMs = performance.now();
      outcomeOf(read, input);
      microseconds = Math.min(microseconds, (performance.now() - startedMs) * 1_000);
    }
    if (microseconds > this.#slowest.microseconds) this.#slowest = { microseconds, reader };
    if (microseconds > microsecondsMax) this.#violate(`${reader} took ${Math.round(microseconds)} µs`, input);
  }

  #violate(problem: string, input: Uint8Array): void {
    if (this.#violations.length >= violationsMax) return;
    const shown = Buffer.from(input.subarray(0, 512)).toString('hex');
    this.#violations.push(`${problem}; ${input.length} bytes: ${shown}`);
  }

  report(inputs: number): FramingReport {
    return {
      inputs,
      accepted: this.#accepted,
      compared: this.#compared,
      unreadByTsMls: this.#unread,
      slowestMicroseconds: Math.round(this.#slowest.microseconds),
      slowestReader: this.#slowest.reader,
      longestInputBytes: this.#longest,
      violations: this.#violations,
    };
  }
}

type Outcome =
  | { readonly kind: 'read'; readonly value: unknown }
  | { readonly kind: 'refused' }
  | { readonly kind: 'broke'; readonly what: string };

function outcomeOf(read: Reader, bytes: Uint8Array): Outcome {
  try {
    return { kind: 'read', value: read(bytes) };
  } catch (error) {
    return error instanceof MlsFormatError ? { kind: 'refused' } : { kind: 'broke', what: String(error) };
  }
}

/** Returns the input as a view on a larger buffer, which request bodies are too. */
function placeAmid(input: Uint8Array, fill: number): Uint8Array {
  const margin = 64;
  const around = new Uint8Array(input.length + 2 * margin).fill(fill);
  around.set(input, margin);
  return around.subarray(margin, margin + input.length);
}

function staysInside(value: unknown, input: Uint8Array): boolean {
  if (value instanceof Uint8Array) {
    const isView = value.buffer === input.buffer;
    const [start, end] = [input.byteOffset, input.byteOffset + input.length];
    return isView && value.byteOffset >= start && value.byteOffset + value.length <= end;
  }
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every((part) => staysInside(part, input));
}

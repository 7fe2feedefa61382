import type { CheckedClient } from './checked-client.ts';
import type { CallRecord } from './record.ts';
import type { Partner } from './partner.ts';
import type { RuleId } from './rules.ts';

/** What a scenario works with. */
export interface Stage {
  readonly client: CheckedClient;
  readonly partner: Partner;
  /** From 0 to 1; the same for the same seed. */
  readonly random: () => number;
  /** Time that the client has for an answer. */
  readonly answerMs: number;
  /** Resolves with the call for which a fault was planned. @throws NoAnswerError when it does not come in time. */
  readonly whenCalled: (planned: Promise<CallRecord>) => Promise<CallRecord>;
  /** Claims one key package of the client as another account. @returns whether there was one. */
  readonly claimKeyPackage: () => Promise<boolean>;
  /** Replaces the key in the client's DID document and in its key file, and makes the service fetch the document. */
  readonly changeKey: () => Promise<void>;
}

/** One situation that the client under test has to manage. */
export interface Scenario {
  readonly name: string;
  /** What happens in it. */
  readonly summary: string;
  /** The rule that is broken when an answer is missing; default `answers`. */
  readonly missing?: RuleId;
  /** The rule that is broken when an answer comes twice; default `send-once`. */
  readonly doubled?: RuleId;
  run(stage: Stage): Promise<void>;
}

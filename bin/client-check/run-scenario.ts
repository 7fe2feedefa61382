import { createXrpcClient } from '../../test/support/clients/xrpc-client.ts';
import { createAccount } from '../../test/support/clients/account.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import { checkCalls } from './checks/check-calls.ts';
import { checkKeyPackages } from './checks/check-key-packages.ts';
import { checkMembership } from './checks/check-membership.ts';
import { checkStreams } from './checks/check-streams.ts';
import { checkTokens } from './checks/check-tokens.ts';
import type { ServiceAddress } from './front/front-server.ts';
import { Partner } from './partner.ts';
import type { ClientRecord } from './record.ts';
import type { Finding } from './rules.ts';
import type { Scenario, Stage } from './scenario.ts';
import type { Session } from './session.ts';
import { NoAnswerError } from './talk.ts';
import { seededRandom, until } from './waiting.ts';

export interface ScenarioDeps {
  /** The service itself, without the check in front. */
  readonly service: ServiceAddress;
  readonly plc: LoopbackPlc;
  readonly seed: number;
  /** Time that the client has for an answer. */
  readonly answerMs: number;
  /** Time that the client has to start; default `answerMs`. */
  readonly startMs?: number;
}

export interface ScenarioResult {
  readonly name: string;
  readonly findings: readonly Finding[];
  /** Methods for whose next call a fault was planned, and that the client did not call: it did not meet the whole scenario. */
  readonly unmetFaults: readonly string[];
  readonly seconds: number;
}

/** Time in which a wrong second answer would come. */
const quietMs = 400;
/** Time that a client has for what it may do a little later, such as to confirm a Welcome. */
const patienceMs = 3_000;

/** docs/tokens.md says how soon a new key is accepted. */
const keyChangeMsMax = 20_000;

/** Runs one scenario with the client of `session`. @returns what the client did wrong in it. */
export async function runScenario(scenario: Scenario, session: Session, deps: ScenarioDeps): Promise<ScenarioResult> {
  const startedMs = performance.now();
  const { client } = session;
  const result = (findings: readonly Finding[], unmetFaults: readonly string[] = []): ScenarioResult => ({
    name: scenario.name,
    findings: session.unreported(findings),
    unmetFaults,
    seconds: (performance.now() - startedMs) / 1_000,
  });
  const { service, answerMs, plc } = deps;
  const isLow = async (): Promise<boolean> => {
    const own = createXrpcClient({ server: service, account: session.account });
    return (await own.call('getKeyPackageStats', {})).needsReplenish;
  };
  if (!(await session.whenStarted(deps.startMs ?? answerMs)))
    return result([
      { rule: 'starts', seen: startProblem(client.record, session.problem) },
      ...(await checkRecord(client.record, isLow)),
    ]);
  const partner = await Partner.open({ account: createAccount(plc), service, client, answerMs });
  try {
    const problem = await play(scenario, stageOf(session, partner, deps, scenario.name));
    const unmet = client.faults.unmet();
    client.faults.clear();
    await until(() => false, quietMs);
    const transcript = checkTranscript(scenario, partner, session.problem ?? problem);
    return result([...transcript, ...(await checkRecord(client.record, isLow))], unmet);
  } finally {
    client.faults.clear();
    await partner.close();
  }
}

/** @returns what the client did not do in time. */
async function play(scenario: Scenario, stage: Stage): Promise<string | undefined> {
  try {
    await scenario.run(stage);
    return undefined;
  } catch (error) {
    if (error instanceof NoAnswerError) return error.message;
    throw error;
  }
}

function stageOf(session: Session, partner: Partner, deps: ScenarioDeps, name: string): Stage {
  const { service, plc, answerMs } = deps;
  const { client } = session;
  const salt = Buffer.from(name).reduce((sum, byte) => sum * 31 + byte, 7);
  return {
    client,
    partner,
    random: seededRandom(deps.seed + salt),
    answerMs,
    async whenCalled(planned) {
      const late = until(() => false, answerMs).then(() => {
        throw new NoAnswerError('the client did not make the call');
      });
      return Promise.race([planned, late]);
    },
    async claimKeyPackage() {
      const claimer = createXrpcClient({ server: service, account: createAccount(plc) });
      const { keyPackages } = await claimer.call('getKeyPackages', { dids: [client.did] });
      return keyPackages.length > 0;
    },
    async changeKey() {
      await session.changeKey();
      const own = createXrpcClient({ server: service, account: session.account });
      const deadlineMs = performance.now() + keyChangeMsMax;
      for (;;) {
        // A token that the cached document does not verify makes the service fetch the document again, if it has not just done so.
        const { status } = await own.raw('listDevices');
        if (status === 200) return;
        if (performance.now() > deadlineMs) throw new Error(`the service does not accept the new key: ${status}`);
        await until(() => false, 500);
      }
    },
  };
}

function startProblem({ calls, streams }: ClientRecord, problem: string | undefined): string {
  if (problem !== undefined) return `Before it could begin, ${problem}.`;
  if (calls.length === 0) return 'No call of the client has arrived.';
  if (!calls.some(({ method, outcome }) => method === 'registerDevice' && outcome?.status === 200))
    return 'No device is registered.';
  return streams.length === 0 ? 'No stream was opened.' : 'No stream is open.';
}

function checkTranscript(scenario: Scenario, partner: Partner, problem: string | undefined): Finding[] {
  const { missing = 'answers', doubled = 'send-once' } = scenario;
  return [
    ...(problem === undefined ? [] : [{ rule: missing, seen: `In ${scenario.name}: ${problem}.` }]),
    ...partner.talks.flatMap((talk, index): Finding[] => [
      ...talk.doubled().map((text) => ({ rule: doubled, seen: `In ${scenario.name}: "${text}" was sent twice.` })),
      ...(talk.isInOrder()
        ? []
        : [{ rule: 'in-order' as const, seen: `In ${scenario.name}: answers of conversation ${index + 1}.` }]),
    ]),
  ];
}

/** Checks everything that the client has sent; what it may still do soon is waited for. */
async function checkRecord(record: ClientRecord, isLow: () => Promise<boolean>): Promise<Finding[]> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const expected = [...(await checkKeyPackages(record, isLow)), ...checkMembership(record)];
    if (expected.length === 0 || performance.now() > deadlineMs)
      return [...checkTokens(record), ...checkCalls(record), ...checkStreams(record, performance.now()), ...expected];
    await until(() => false, 250);
  }
}

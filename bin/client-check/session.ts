import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount } from '../../test/support/clients/account.ts';
import type { Account } from '../../test/support/clients/account.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import type { CheckedClient } from './checked-client.ts';
import type { FrontServer } from './front/front-server.ts';
import type { Finding } from './rules.ts';
import { until } from './waiting.ts';

/** What a client under test needs to know. */
export interface ClientIdentity {
  readonly serviceUrl: string;
  readonly serviceDid: string;
  readonly did: string;
  /** File with the signing key as PKCS #8 in PEM, on the curve P-256. The key may change. */
  readonly keyFile: string;
}

export interface RunningClient {
  /** Why the client does not run any more, if it has ended by itself. */
  problem?(): string | undefined;
  stop(): Promise<void>;
}

export interface SessionDeps {
  readonly front: FrontServer;
  readonly serviceDid: string;
  readonly plc: LoopbackPlc;
  /** Folder for key files. */
  readonly folder: string;
  readonly startClient: (identity: ClientIdentity) => Promise<RunningClient>;
}

/** One account and the client under test that uses it. */
export class Session {
  readonly account: Account;
  readonly client: CheckedClient;
  readonly identity: ClientIdentity;
  readonly #reported = new Set<string>();
  #running: RunningClient | undefined;

  private constructor(account: Account, client: CheckedClient, identity: ClientIdentity) {
    this.account = account;
    this.client = client;
    this.identity = identity;
  }

  /** Makes an account and starts the client with it. */
  static async open({ front, serviceDid, plc, folder, startClient }: SessionDeps): Promise<Session> {
    const account = createAccount(plc, { curve: 'p256' });
    const keyFile = join(folder, `${account.did.replaceAll(':', '-')}.pem`);
    const identity = { serviceUrl: front.url, serviceDid, did: account.did, keyFile };
    const session = new Session(account, front.addClient(account.did), identity);
    await session.#writeKey();
    session.#running = await startClient(identity);
    return session;
  }

  /** @returns whether the client has registered a device and opened a stream in time. */
  whenStarted(timeoutMs: number): Promise<boolean> {
    const { calls, deliveries } = this.client.record;
    return until(
      () =>
        this.problem !== undefined ||
        (deliveries.length > 0 &&
          calls.some(({ method, outcome }) => method === 'registerDevice' && outcome?.status === 200)),
      timeoutMs,
    ).then((isOver) => isOver && this.problem === undefined);
  }

  /** Why the client does not run any more, if it has ended by itself. */
  get problem(): string | undefined {
    return this.#running?.problem?.();
  }

  async changeKey(): Promise<void> {
    this.account.rotateKey();
    await this.#writeKey();
  }

  /** The findings that earlier scenarios of this session did not have. */
  unreported(findings: readonly Finding[]): Finding[] {
    return findings.filter(({ rule, seen }) => {
      const text = `${rule} ${seen}`;
      const isNew = !this.#reported.has(text);
      this.#reported.add(text);
      return isNew;
    });
  }

  async close(): Promise<void> {
    await this.#running?.stop();
  }

  #writeKey(): Promise<void> {
    return writeFile(this.identity.keyFile, this.account.privateKeyPem(), { mode: 0o600 });
  }
}

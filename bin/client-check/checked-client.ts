import { Faults } from './faults.ts';
import { newClientRecord } from './record.ts';
import type { ClientRecord } from './record.ts';

/** A client under test: what it has done, and the faults that it meets. */
export interface CheckedClient {
  readonly did: string;
  readonly record: ClientRecord;
  readonly faults: Faults;
}

/** The clients under test, found by what they send. */
export class CheckedClients {
  readonly #serviceDid: string;
  readonly #byDid = new Map<string, CheckedClient>();
  readonly #byTicket = new Map<string, CheckedClient>();

  constructor(serviceDid: string) {
    this.#serviceDid = serviceDid;
  }

  add(did: string): CheckedClient {
    const client = { did, record: newClientRecord(did, this.#serviceDid), faults: new Faults() };
    this.#byDid.set(did, client);
    return client;
  }

  /** The client that signed a token; a token that cannot be read is of the only client. */
  ofIssuer(did: string | undefined): CheckedClient | undefined {
    const bare = did?.split('#')[0];
    if (bare !== undefined) return this.#byDid.get(bare);
    return this.#byDid.size === 1 ? [...this.#byDid.values()][0] : undefined;
  }

  ofTicket(ticket: string): CheckedClient | undefined {
    return this.#byTicket.get(ticket);
  }

  noteTicket(ticket: string, client: CheckedClient): void {
    this.#byTicket.set(ticket, client);
  }
}

import { afterAll, beforeAll, beforeEach } from 'vitest';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { systemClock } from '#platform/clock.ts';
import type { Account } from '../support/clients/account.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';

export const minuteMs = 60_000;
/** A cached document is used without a fetch for this time. */
export const freshMs = 5 * minuteMs;

/** A did:plc directory for a test file, with a new clock and a new document cache for each test. */
export class DidDocumentsFixture {
  plc!: LoopbackPlc;
  clock!: ManualClock;
  documents!: DidDocuments;

  /** Replaces the document cache by an empty one of `entriesMax` documents. */
  openDocuments(entriesMax = 1_000): void {
    const { clock } = this;
    const network = 'private';
    const fetchDidDocument = createFetchDidDocument({ clock, network, plcUrl: this.plc.url, timeoutMs: 400 });
    this.documents = createDidDocuments({ fetchDidDocument, clock, network, entriesMax });
  }

  /** Whether the key that `signingKey` returns verifies a signature of the account's present key. */
  async verifies(account: Account, options: Parameters<DidDocuments['signingKey']>[1] = {}): Promise<boolean> {
    const [header, payload, signature] = account.signToken('{}', '{}').split('.');
    const key = await this.documents.signingKey(account.did, options);
    return key.verify(`${header}.${payload}`, Buffer.from(signature ?? '', 'base64url'));
  }
}

/** Registers the set-up of the fixture for the tests of the calling file. */
export function useDidDocuments(): DidDocumentsFixture {
  const fixture = new DidDocumentsFixture();
  beforeAll(async () => {
    fixture.plc = await startLoopbackPlc();
  });
  afterAll(() => fixture.plc.close());
  beforeEach(() => {
    fixture.clock = createManualClock(1_800_000_000_000);
    fixture.openDocuments();
  });
  return fixture;
}

/** Waits until `condition` is true. @throws Error after five seconds. */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not become true');
    await systemClock.sleep(5);
  }
}

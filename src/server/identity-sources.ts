import type { Development } from '#development/open-development.ts';
import { createBlockRecords, noBlockRecords } from '#identity/block-records/block-records.ts';
import type { BlockRecords } from '#identity/block-records/block-records.ts';
import { createFetchBlockRecords } from '#identity/block-records/fetch-block-records.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import type { DidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import type { Admission } from '#xrpc/overload/admission.ts';

interface SourceParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly development: Development | undefined;
}

/**
 * Creates the source of DID documents. A request releases its slot while it waits for a document, because every client
 * can name a host that does not respond.
 */
export function documentsOf({ config, clock, development }: SourceParts, admission: Admission): DidDocuments {
  const network = config.IDENTITY_ALLOW_PRIVATE_NETWORK ? 'private' : 'public';
  const timeoutMs = config.DID_RESOLUTION_TIMEOUT_MS;
  const fetchDidDocument = createFetchDidDocument({
    clock,
    plcUrl: config.PLC_URL,
    network,
    timeoutMs,
    async findDevelopmentDocument(did) {
      const document = await development?.findDocument(did);
      return document && { verificationMethods: document.verificationMethod, pdsEndpoint: undefined };
    },
  });
  const documents = createDidDocuments({ fetchDidDocument, clock, network, entriesMax: config.DID_CACHE_ENTRIES });
  return {
    signingKey: (did, options) => admission.withoutSlot(() => documents.signingKey(did, options)),
    cachedSigningKey: (did, kid) => documents.cachedSigningKey(did, kid),
    pdsEndpoint: (did) => admission.withoutSlot(() => documents.pdsEndpoint(did)),
    noteProof: (address, did) => documents.noteProof(address, did),
  };
}

/** Creates the source of block records, which reads nothing when BLOCK_CHECKS is false. */
export function blocksOf(
  { config, clock }: SourceParts,
  { documents, admission }: { documents: DidDocuments; admission: Admission },
): BlockRecords {
  if (!config.BLOCK_CHECKS) return noBlockRecords;
  const network = config.IDENTITY_ALLOW_PRIVATE_NETWORK ? 'private' : 'public';
  const timeoutMs = config.DID_RESOLUTION_TIMEOUT_MS;
  const records = createBlockRecords({
    fetchBlockRecords: createFetchBlockRecords({ documents, clock, network, timeoutMs }),
    clock,
  });
  return {
    blocksOf: (did, options) => admission.withoutSlot(() => records.blocksOf(did, options)),
    blockAt: (did, recordKey) => admission.withoutSlot(() => records.blockAt(did, recordKey)),
  };
}

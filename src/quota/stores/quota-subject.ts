import type { QuotaName } from '../table/quotas.ts';
import type { BucketNamer } from './keyed-bucket-names.ts';
import type { BucketNames } from './quota-store.ts';

interface KeptNames {
  readonly namer: BucketNamer;
  readonly generation: number;
  readonly names: BucketNames;
}

/**
 * An address, an account or a conversation that quotas count. Keeps the names of its buckets while they are valid,
 * because an HMAC costs more than a charge.
 */
export class QuotaSubject {
  readonly text: string;
  readonly #kept = new Map<QuotaName, KeptNames>();

  /** `text` is what the names are computed from, such as an address or a DID. */
  constructor(text: string) {
    this.text = text;
  }

  /** Returns the names of the bucket in which `quota` counts this subject. */
  namesOf(namer: BucketNamer, quota: QuotaName): BucketNames {
    const generation = namer.generationOf(quota);
    const kept = this.#kept.get(quota);
    if (kept?.generation === generation && kept.namer === namer) return kept.names;
    const names = namer.nameOf(quota, this.text);
    this.#kept.set(quota, { namer, generation, names });
    return names;
  }
}

import type { Clock } from '#platform/clock.ts';

/** The maximum number of servers that are remembered. */
const serversMax = 256;

/** The other servers that this server has heard of, until each has sent nothing for `forgetAfterMs`. */
export class OtherServers {
  readonly #deps: { readonly clock: Clock; readonly forgetAfterMs: number };
  readonly #heardMs = new Map<string, number>();

  constructor(deps: { readonly clock: Clock; readonly forgetAfterMs: number }) {
    this.#deps = deps;
  }

  /** Notes that a server has sent something. @returns whether it was known before. */
  note(server: string): 'new' | 'known' {
    const isKnown = this.#heardMs.delete(server);
    if (this.#heardMs.size >= serversMax) this.#heardMs.clear();
    this.#heardMs.set(server, this.#deps.clock.monotonicMs());
    return isKnown ? 'known' : 'new';
  }

  exist(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const [server, heardMs] of this.#heardMs) {
      // The map has the order of the times, so all later servers were heard after this one.
      if (nowMs - heardMs < this.#deps.forgetAfterMs) break;
      this.#heardMs.delete(server);
    }
    return this.#heardMs.size > 0;
  }
}

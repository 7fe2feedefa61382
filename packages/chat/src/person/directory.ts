/** A person whom one can invite. */
export interface Contact {
  readonly did: string;
  readonly name: string;
}

/** Names of people, and how to find the people to invite. */
export interface Directory {
  nameOf(did: string): string;
  /** People to choose from; undefined when the person types handles or DIDs instead. */
  readonly contacts: readonly Contact[] | undefined;
  /** Finds the DID of a handle. @throws AdvisedError. */
  findDid(handleOrDid: string): Promise<string>;
}

/** `did:plc:abcd…wxyz` */
export function shortDid(did: string): string {
  return did.length <= 20 ? did : `${did.slice(0, 12)}…${did.slice(-4)}`;
}

/** `Alice`, `Alice and Bob`, `Alice, Bob and Carol` */
export function listNames(names: readonly string[]): string {
  return new Intl.ListFormat('en', { type: 'conjunction', style: 'long' }).format(names);
}

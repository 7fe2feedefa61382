/** Who asks: proven by a service token or a subscription ticket. Tokens name a person, not a device. */
export interface Caller {
  readonly did: string;
}

/** The person whom a service token or a subscription ticket authenticates. Neither of them identifies a device. */
export interface Caller {
  readonly did: string;
}

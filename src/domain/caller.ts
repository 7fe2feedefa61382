/** The authenticated person, from a service token or a subscription ticket; tokens identify a person, not a device. */
export interface Caller {
  readonly did: string;
}

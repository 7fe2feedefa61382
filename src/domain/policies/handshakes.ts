/**
 * How commits and proposals of members travel: as PublicMessage, so that the service can hold them against the roster, as PrivateMessage,
 * so that it sees nothing of them, or either way.
 */
export type Handshakes = 'any' | 'plaintext' | 'encrypted';

/** The form in force: an operator who asks for one has the last word. */
export function handshakesInForce(operator: Handshakes, policy: { readonly handshakes: Handshakes }): Handshakes {
  return operator === 'any' ? policy.handshakes : operator;
}
